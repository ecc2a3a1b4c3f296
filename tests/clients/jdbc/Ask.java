import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;

/** What PostgreSQL's JDBC driver makes of a node: `Ask PORT URL`. Prints one JSON object. */
public class Ask {
    static final String STREAM = "streams.\"orders.raw\"";

    public static void main(String[] words) throws Exception {
        String place = "jdbc:postgresql://127.0.0.1:" + words[0] + "/headwater?user=me";
        try (Connection connection = DriverManager.getConnection(place)) {
            List<String> tables = new ArrayList<>();
            try (var found = connection.getMetaData().getTables(null, "tables", "%", null)) {
                while (found.next()) {
                    tables.add('"' + found.getString("TABLE_NAME") + '"');
                }
            }
            // The driver prepares on the server from the fifth time on, and keeps what it prepared.
            List<Long> counts = new ArrayList<>();
            try (var count = connection.prepareStatement("SELECT count(*) FROM " + STREAM + " WHERE \"offset\" >= ?")) {
                for (int time = 0; time < 8; time++) {
                    if (time == 7) {
                        publish(words[1]);
                    }
                    count.setLong(1, 0);
                    try (var row = count.executeQuery()) {
                        row.next();
                        counts.add(row.getLong(1));
                    }
                }
            }
            connection.setAutoCommit(false);
            int rows = 0;
            try (var statement = connection.createStatement()) {
                statement.setFetchSize(100);
                try (var all = statement.executeQuery("SELECT * FROM " + STREAM)) {
                    while (all.next()) {
                        rows++;
                    }
                }
            }
            connection.commit();
            connection.setAutoCommit(true);
            String values;
            try (var statement = connection.createStatement();
                    var row = statement.executeQuery("SELECT CAST('1234567890.25' AS decimal(20,2)), 7, true, 'x', NULL, DATE '2026-11-29'")) {
                row.next();
                values = row.getBigDecimal(1) + " " + row.getInt(2) + " " + row.getBoolean(3) + " " + row.getString(4) + " "
                        + row.getString(5) + " " + row.getDate(6);
            }
            String state = "";
            try (var statement = connection.createStatement()) {
                statement.executeQuery("SELECT nothing");
            } catch (SQLException error) {
                state = error.getSQLState();
            }
            System.out.println("{\"tables\": " + tables + ", \"counts\": " + counts + ", \"rows\": " + rows + ", \"values\": \""
                    + values + "\", \"state\": \"" + state + "\"}");
        }
    }

    static void publish(String url) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(url + "/v1/streams/orders.raw/events"))
                .header("content-type", "application/json").POST(HttpRequest.BodyPublishers.ofString("{\"n\": 0}")).build();
        HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.discarding());
    }
}
