cwlVersion: v1.2
$graph:
- class: CommandLineTool
  id: align
  requirements: {InlineJavascriptRequirement: {}, ShellCommandRequirement: {}, ResourceRequirement: {coresMin: 2}}
  inputs: {reads: File, reference: string, aligner: string}
  outputs: {bam: {type: File, outputBinding: {glob: out.bam}}}
  arguments:
  - shellQuote: false
    valueFrom: >-
      $(inputs.aligner == "bwa" ? "bwa mem -t 2" : "minimap2 -a -x sr -t 2") $(inputs.reference) $(inputs.reads.path)
      2> /dev/null | samtools sort -o out.bam - 2> /dev/null
- class: CommandLineTool
  id: stats
  requirements: {InlineJavascriptRequirement: {}, ShellCommandRequirement: {}}
  inputs: {bam: File}
  outputs: {stats: {type: File, outputBinding: {glob: out.stats}}}
  arguments: [{shellQuote: false, valueFrom: samtools flagstat $(inputs.bam.path) > out.stats}]
- class: CommandLineTool
  id: call
  requirements: {InlineJavascriptRequirement: {}, ShellCommandRequirement: {}}
  inputs: {bams: "File[]", reference: string}
  outputs: {calls: {type: File, outputBinding: {glob: calls.vcf.gz}}}
  arguments:
  - shellQuote: false
    valueFrom: >-
      bcftools mpileup -f $(inputs.reference) $(inputs.bams.map(function(b) {return b.path}).join(" ")) 2> /dev/null
      | bcftools call -mv -Oz -o calls.vcf.gz
- class: Workflow
  id: main
  requirements: {ScatterFeatureRequirement: {}, InlineJavascriptRequirement: {}}
  inputs: {reads: "File[]", reference: string, aligner: string}
  outputs: {calls: {type: File, outputSource: call/calls}, flagstats: {type: "File[]", outputSource: stats/stats}}
  steps:
    align:
      run: "#align"
      scatter: reads
      in: {reads: reads, reference: reference, aligner: aligner}
      out: [bam]
    stats:
      run: "#stats"
      scatter: bam
      in: {bam: align/bam}
      out: [stats]
    call:
      run: "#call"
      in: {bams: align/bam, reference: reference}
      out: [calls]
