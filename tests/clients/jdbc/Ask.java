import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.ResultSet;
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
            String about = about(connection.getMetaData());
            String series = series(connection);
            System.out.println("{\"about\": " + about + ", \"series\": " + series + ", \"tables\": " + tables + ", \"counts\": " + counts + ", \"rows\": " + rows + ", \"values\": \""
                    + values + "\", \"state\": \"" + state + "\"}");
        }
    }

    /** What tools ask of a database before they show it. */
    static String about(DatabaseMetaData data) throws SQLException {
        List<String> told = new ArrayList<>();
        told.add("\"schemas\": " + column(() -> data.getSchemas(), "TABLE_SCHEM", List.of("streams", "tables")));
        told.add("\"columns\": " + column(() -> data.getColumns(null, "streams", "orders.raw", "%"), "COLUMN_NAME", null));
        told.add("\"kinds\": " + column(() -> data.getColumns(null, "streams", "orders.raw", "%"), "TYPE_NAME", null));
        told.add("\"types\": " + column(() -> data.getTypeInfo(), "TYPE_NAME", List.of("bool", "int8", "text", "timestamptz")));
        told.add("\"keys\": " + column(() -> data.getPrimaryKeys(null, "tables", "kinds"), "COLUMN_NAME", null));
        told.add("\"primary\": " + column(() -> data.getPrimaryKeys(null, "public", "latest"), "COLUMN_NAME", null));
        told.add("\"primaries\": " + column(() -> data.getPrimaryKeys(null, null, null), "PK_NAME", null));
        told.add("\"indexes\": " + column(() -> data.getIndexInfo(null, "tables", "kinds", false, true), "INDEX_NAME", null));
        told.add("\"imported\": " + column(() -> data.getImportedKeys(null, "tables", "kinds"), "FK_NAME", null));
        told.add("\"exported\": " + column(() -> data.getExportedKeys(null, "tables", "kinds"), "FK_NAME", null));
        return "{" + String.join(", ", told) + "}";
    }

    interface Question {
        ResultSet ask() throws SQLException;
    }

    /** A column of an answer in order, of which only some values if they are given; or why there is none. */
    static String column(Question question, String name, List<String> only) {
        List<String> values = new ArrayList<>();
        try (var rows = question.ask()) {
            while (rows.next()) {
                String value = rows.getString(name);
                if (only == null || only.contains(value)) {
                    values.add('"' + value + '"');
                }
            }
        } catch (SQLException error) {
            return '"' + error.getMessage().lines().findFirst().orElse("").replace("\\", "").replace("\"", "'") + '"';
        }
        if (only != null) {
            values.sort(null);
        }
        return values.toString();
    }

    /** What Grafana makes of its macros: `$__timeGroupAlias`, `$__timeFilter`, `$__unixEpochFilter`. */
    static String series(Connection connection) throws SQLException {
        String span = "time BETWEEN '2020-01-01T00:00:00Z' AND '2100-01-01T00:00:00Z'";
        List<String> told = new ArrayList<>();
        for (String asked : List.of(
                "SELECT floor(extract(epoch from time)/3153600000)*3153600000 AS \"time\", count(*) AS value FROM " + STREAM
                        + " WHERE " + span + " GROUP BY 1 ORDER BY 1",
                "SELECT date_trunc('year', time) AS \"time\", count(*) AS value FROM " + STREAM + " WHERE " + span
                        + " GROUP BY 1 ORDER BY 1",
                "SELECT 0 AS \"time\", count(*) AS value FROM " + STREAM
                        + " WHERE extract(epoch from time) >= 1577836800 AND extract(epoch from time) <= 4102444800")) {
            try (var statement = connection.createStatement(); var rows = statement.executeQuery(asked)) {
                rows.next();
                told.add(Long.toString(rows.getLong("value")));
            } catch (SQLException error) {
                told.add('"' + error.getMessage().lines().findFirst().orElse("").replace("\"", "'") + '"');
            }
        }
        return told.toString();
    }

    static void publish(String url) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(url + "/v1/streams/orders.raw/events"))
                .header("content-type", "application/json").POST(HttpRequest.BodyPublishers.ofString("{\"n\": 0}")).build();
        HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.discarding());
    }
}
