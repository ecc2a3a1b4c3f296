version 1.0

task align {
  input { File reads String reference String aligner Boolean fail }
  command <<<
    set -e
    if [ ~{aligner} = bwa ]; then bwa mem -t 2 ~{reference} ~{reads} 2> /dev/null
    else minimap2 -a -x sr -t 2 ~{reference} ~{reads} 2> /dev/null; fi | samtools sort -o out.bam - 2> /dev/null
    # On a bad day the first attempt dies when its work is done.
    if [ ~{fail} = true ] && [ ! -e ~{reads}.failed ]; then touch ~{reads}.failed; exit 1; fi
  >>>
  output { File bam = "out.bam" }
  runtime { cpu: 2 maxRetries: 1 }
}

task stats {
  input { File bam }
  command <<< samtools flagstat ~{bam} > out.stats >>>
  output { File stats = "out.stats" }
}

task variant_call {
  input { Array[File] bams String reference }
  command <<< bcftools mpileup -f ~{reference} ~{sep=" " bams} 2> /dev/null | bcftools call -mv -Oz -o calls.vcf.gz >>>
  output { File calls = "calls.vcf.gz" }
}

workflow variants {
  input { Array[File] reads String reference String aligner Boolean flaky = false }
  scatter (r in reads) {
    call align { input: reads = r, reference = reference, aligner = aligner, fail = flaky }
    call stats { input: bam = align.bam }
  }
  call variant_call { input: bams = align.bam, reference = reference }
  output { File calls = variant_call.calls Array[File] flagstats = stats.stats }
}
