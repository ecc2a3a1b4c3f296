import io.trino.server.Server;
import java.io.IOException;

/** Trino's own server, told by the system property {@code config}, until standard input ends: {@code Serve VERSION}. */
public class Serve {
    public static void main(String[] words) throws IOException {
        new Server().start(words[0]);
        while (System.in.read() >= 0) {
        }
        System.exit(0);
    }
}
