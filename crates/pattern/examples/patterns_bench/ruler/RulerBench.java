import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import software.amazon.event.ruler.Machine;

/**
 * Measures Amazon's event-ruler on the rules and events that `patterns_bench text` wrote: SECONDS RULES EVENTS FOUND.
 * Rules are named by their line. Prints what `patterns_bench headwater` prints, FOUND gets the rules of each event, and
 * standard error the rules that the language cannot say.
 */
public final class RulerBench {
    private static final int ROUNDS = 5;
    private static final double WARM_UP_SECONDS = 8;

    public static void main(String[] arguments) throws Exception {
        double seconds = Double.parseDouble(arguments[0]);
        List<String> rules = Files.readAllLines(Path.of(arguments[1]));
        List<String> events = Files.readAllLines(Path.of(arguments[2]));
        long start = System.nanoTime();
        Machine machine = new Machine();
        int dropped = 0;
        for (int number = 0; number < rules.size(); number++) {
            try {
                machine.addRule(Integer.toString(number), rules.get(number));
            } catch (Exception refused) {
                dropped++;
                System.err.println(number + "\t" + refused.getMessage());
            }
        }
        long builtMillis = (System.nanoTime() - start) / 1_000_000;
        List<String> lines = new ArrayList<>();
        long found = 0;
        for (String event : events) {
            List<String> names = machine.rulesForJSONEvent(event);
            found += names.size();
            lines.add(names.stream().map(Integer::valueOf).sorted().map(String::valueOf).collect(Collectors.joining(" ")));
        }
        Files.write(Path.of(arguments[3]), lines);
        long warm = System.nanoTime();
        while (System.nanoTime() - warm < WARM_UP_SECONDS * 1e9) {
            pass(machine, events);
        }
        double[] thread = new double[ROUNDS];
        double[] process = new double[ROUNDS];
        for (int round = 0; round < ROUNDS; round++) {
            long wall = System.nanoTime();
            long threadStart = threadNanos();
            long processStart = processNanos();
            long count = 0;
            while (System.nanoTime() - wall < seconds / ROUNDS * 1e9) {
                pass(machine, events);
                count += events.size();
            }
            thread[round] = count * 1e9 / (threadNanos() - threadStart);
            process[round] = count * 1e9 / (processNanos() - processStart);
        }
        System.out.printf(
            "{\"events_per_cpu_second\": %d, \"events_per_cpu_second_of_the_process\": %d, \"rules_found_per_event\": %s, "
                + "\"build_ms\": %d, \"dropped\": %d}%n",
            middle(thread), middle(process), (double) found / events.size(), builtMillis, dropped);
    }

    private static int sink;

    private static void pass(Machine machine, List<String> events) throws Exception {
        for (String event : events) {
            sink += machine.rulesForJSONEvent(event).size();
        }
    }

    /** CPU time of the matching alone: compiling and collecting garbage have threads of their own. */
    private static long threadNanos() {
        return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    }

    private static long processNanos() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    private static long middle(double[] figures) {
        Arrays.sort(figures);
        return Math.round(figures[ROUNDS / 2]);
    }
}
