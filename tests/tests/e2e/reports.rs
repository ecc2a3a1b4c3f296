//! Reports and mail: what arrives at a real mail server and at a webhook, as whom, how often, and with which picture.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{Lines, Node, client, json, note_skip, output, root, until};
use serde_json::Value;

use super::HEADWATER;
use super::workflows::server;

/// Two readers of one dashboard whose titles are hostile; `PORT` is the mail server's.
const RESOURCES: &str = r#"
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: sales}
spec: {partitions: 1}
---
apiVersion: headwater.dev/v1
kind: RowPolicy
metadata: {name: switzerland}
spec: {principals: [asha], relations: [streams.sales], filter: value->>'country' = 'CH'}
---
apiVersion: headwater.dev/v1
kind: RowPolicy
metadata: {name: everything}
spec: {principals: [bo], relations: [streams.sales]}
---
apiVersion: headwater.dev/v1
kind: Dashboard
metadata: {name: shop}
spec:
  title: "Sales\r\nBcc: eve@example.com\r\n\r\n<script>alert(1)</script>"
  filters:
    - {id: city, from: streams.sales, column: value->>'city'}
  charts:
    - id: total
      title: "<img src=x onerror=alert(1)> & total"
      type: kpi
      from: streams.sales
      measures: [{name: revenue, expr: "sum(CAST(value->>'amount' AS double))"}]
    - id: cities
      title: Cities
      type: bar
      from: streams.sales
      dimensions: [value->>'city']
      measures: [{name: revenue, expr: "sum(CAST(value->>'amount' AS double))"}]
---
apiVersion: headwater.dev/v1
kind: Destination
metadata: {name: post}
spec:
  mail: {server: 127.0.0.1, port: PORT, tls: none, from: Headwater <node@example.com>, to: [asha@example.com, "Bo <bo@example.com>"]}
---
apiVersion: headwater.dev/v1
kind: Report
metadata: {name: asha}
spec:
  dashboard: shop
  principal: asha
  schedule: cron(0 7 1 1 ? 2199)
  picture: PICTURE
  to: [{destination: post, delivery: {pause: 100ms}}]
---
apiVersion: headwater.dev/v1
kind: Report
metadata: {name: bo}
spec:
  dashboard: shop
  principal: bo
  charts: [cities]
  filters: {city: [Wien, "<b>Graz</b>"]}
  schedule: cron(0 7 1 1 ? 2199)
  picture: PICTURE
  to: [{destination: post, delivery: {pause: 100ms}}]
"#;

const SALES: &str = r#"{"country": "CH", "city": "Bern", "amount": 10.25}
{"country": "CH", "city": "L'Abbaye", "amount": 20}
{"country": "AT", "city": "Wien", "amount": 40}
{"country": "AT", "city": "<b>Graz</b>", "amount": 80}
"#;

/// A mail server of the outside clients.
struct Post {
    lines: Lines,
    port: u16,
    mails: Vec<Value>,
}

impl Post {
    fn start(python: &Path, port: u16, folder: Option<&Path>) -> Self {
        let mut command = Command::new(python);
        command.arg(root().join("tests/clients/mail.py")).arg(port.to_string()).args(folder);
        let lines = Lines::of(&mut command).unwrap();
        let mut first = None;
        until("the mail server listens", || {
            first = first.take().or_else(|| lines.take().into_iter().next());
            first.is_some()
        })
        .unwrap();
        Self { lines, port: first.unwrap().parse().unwrap(), mails: Vec::new() }
    }

    /// All mails, once there are so many.
    fn wait(&mut self, count: usize) -> &[Value] {
        until(&format!("{count} mails"), || {
            self.mails.extend(self.lines.take().iter().map(|line| json(line).unwrap()));
            self.mails.len() >= count
        })
        .unwrap();
        assert_eq!(self.mails.len(), count, "{:#?}", self.mails);
        &self.mails
    }
}

fn resources(port: u16, picture: bool) -> String {
    RESOURCES.replace("PORT", &port.to_string()).replace("PICTURE", &picture.to_string())
}

fn part<'m>(mail: &'m Value, kind: &str) -> &'m Value {
    mail["parts"].as_array().unwrap().iter().find(|part| part["type"] == kind).unwrap_or(&Value::Null)
}

fn header(mail: &Value, name: &str) -> String {
    let head = mail["head"].as_array().unwrap();
    let found: Vec<&Value> = head.iter().filter(|pair| pair[0] == name).collect();
    assert!(found.len() <= 1, "{name}: {found:?}");
    found.first().map(|pair| pair[1].as_str().unwrap().to_owned()).unwrap_or_default()
}

fn state(node: &Node, report: &str) -> String {
    node.headwater(&["get", &format!("report/{report}"), "-o", "json"], "").unwrap()
}

#[test]
fn two_readers_get_their_own_rows_and_nothing_hostile_is_more_than_text() {
    let Some(python) = client("two_readers_get_their_own_rows", "mail/bin/python") else { return };
    let mut post = Post::start(&python, 0, None);
    let node = Node::start(HEADWATER).unwrap();
    node.headwater(&["apply", "-f", "-"], &resources(post.port, false)).unwrap();
    node.headwater(&["produce", "sales"], SALES).unwrap();
    let sum = |who: &str| {
        let query = "SELECT sum(CAST(value->>'amount' AS double)) FROM streams.sales";
        let answer = node.headwater(&["sql", "--as", who, "-o", "csv", query], "").unwrap();
        answer.lines().nth(1).unwrap().to_owned()
    };
    node.headwater(&["start", "report/asha"], "").unwrap();
    let mail = post.wait(1)[0].clone();
    assert_eq!(mail["to"], serde_json::json!(["asha@example.com", "bo@example.com"]));
    assert_eq!(header(&mail, "From"), "Headwater <node@example.com>");
    assert_eq!(header(&mail, "Bcc"), "");
    let subject = header(&mail, "Subject").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(subject.starts_with("Sales Bcc: eve@example.com <script>alert(1)</script>: 2"), "{subject}");
    assert!(header(&mail, "Message-ID").ends_with("@example.com>"), "{mail}");
    let plain = part(&mail, "text/plain")["text"].as_str().unwrap();
    assert_eq!(sum("asha"), "30.25");
    for text in ["<img src=x onerror=alert(1)> & total", "revenue\n30.25\n", "Bern ", "L'Abbaye", "10.25"] {
        assert!(plain.replace("\r\n", "\n").contains(text), "{text} is not in {plain}");
    }
    for text in ["Wien", "Graz", "150.25"] {
        assert!(!plain.contains(text), "{text} is in {plain}");
    }
    let html = part(&mail, "text/html")["text"].as_str().unwrap();
    assert!(html.contains("&lt;img src=x onerror=alert(1)&gt; &amp; total"), "{html}");
    assert!(!html.contains("<img") && !html.contains("<script") && html.contains(">30.25</td>"), "{html}");

    node.headwater(&["start", "report/bo"], "").unwrap();
    let mail = post.wait(2)[1].clone();
    let plain = part(&mail, "text/plain")["text"].as_str().unwrap();
    assert_eq!(sum("bo"), "150.25");
    for (text, there) in [("Wien", true), ("<b>Graz</b>", true), ("Bern", false), ("total", false)] {
        assert_eq!(plain.contains(text), there, "{text}: {plain}");
    }
    assert!(part(&mail, "text/html")["text"].as_str().unwrap().contains("&lt;b&gt;Graz&lt;/b&gt;"));

    // An event of a rule is mailed as it is.
    let rule = "apiVersion: headwater.dev/v1\nkind: Rule\nmetadata: {name: all}\nspec:\n  pattern: {source: [shop]}\n  targets: [{type: destination, destination: post}]\n";
    node.headwater(&["apply", "-f", "-"], rule).unwrap();
    let event = serde_json::json!({"source": "shop", "detail-type": "Closed", "detail": {"html": "<i>"}});
    assert_eq!(node.post("/v1/buses/default/events", &event).unwrap().0, 200);
    assert_eq!(header(&post.wait(3)[2], "Subject"), "Closed from shop");
}

/// The solution's own alarms, which look oftener here, and one of them at one country alone. The gateway is a mail server.
#[test]
fn a_kpi_and_a_gauge_of_sales_insights_that_cross_their_lines_are_mailed() {
    let Some(python) = client("a_kpi_and_a_gauge_of_sales_insights", "mail/bin/python") else { return };
    let mut post = Post::start(&python, 0, None);
    let node = Node::start(HEADWATER).unwrap();
    let mail = format!(
        "mail: {{server: 127.0.0.1, port: {}, tls: none, from: node@example.com, to: [asha@example.com]}}",
        post.port
    );
    let folder = root().join("solutions/sales-insights/resources");
    let files = ["streams", "datasets", "windows", "forecast", "markets", "dashboard", "alerts", "alarms"];
    let files = files.map(|name| std::fs::read_to_string(folder.join(format!("{name}.yaml"))).unwrap());
    let resources = files.join("\n---\n").replace("url: ${webhook}", &mail).replace("${notify}", "true");
    let oftener = resources.replace("every: 5m", "every: 1s").replace("sustain: 2\n  alerts", "sustain: 1\n  alerts");
    let narrowed = oftener.replace("  chart: outside\n", "  chart: outside\n  filters: {country: [IN]}\n");
    node.headwater(&["apply", "-f", "-"], &narrowed).unwrap();
    let hour = output(Command::new("date").args(["-u", "-d", "2 hours ago", "+%Y-%m-%dT%H:00:00Z"]), "").unwrap();
    let verdict = |country: &str, outside: bool| {
        serde_json::json!({
            "time": hour.trim(), "cohort": format!("{country}/app"), "parts": {"country": country, "channel": "app"},
            "actual": 10.0, "predicted": 100.0, "lower": 60.0, "upper": 140.0, "threshold": 60.0, "outside": outside,
        })
    };
    let verdicts = serde_json::json!([verdict("IN", true), verdict("CO", false)]);
    // A pipe begins with what comes after it.
    until("the pipes run", || {
        let pipes = node.headwater(&["get", "pipes", "-o", "json"], "").and_then(|text| json(&text)).unwrap();
        let pipes = pipes.as_array().unwrap();
        pipes.len() == 2 && pipes.iter().all(|pipe| pipe["status"]["ready"] == "true")
    })
    .unwrap();
    until("the stream is there", || node.post("/v1/streams/sales.verdicts/events", &verdicts).unwrap().0 == 200)
        .unwrap();
    let mut mails = post.wait(2).to_vec();
    mails.sort_by_key(|mail| header(mail, "Subject"));
    let subjects: Vec<String> = mails.iter().map(|mail| header(mail, "Subject")).collect();
    assert_eq!(subjects, ["Alarm sales-met: 10", "Alarm sales-outside: 100"]);
    let plain = part(&mails[1], "text/plain")["text"].as_str().unwrap();
    assert!(plain.contains("/console/dashboards/sales?f.country=%5B%22IN%22%5D&t="), "{plain}");
}

#[test]
fn a_server_that_was_down_gets_each_report_and_knows_it_by_its_id() {
    let Some(python) = client("a_server_that_was_down", "mail/bin/python") else { return };
    // Nobody else gets the port: it is below those that the system gives away.
    let ports = headwater::ports::Claim::new().unwrap();
    let port = headwater::ports::AWS + ports.offset();
    let mut node = Node::start(HEADWATER).unwrap();
    node.headwater(&["apply", "-f", "-"], &resources(port, false)).unwrap();
    node.headwater(&["produce", "sales"], SALES).unwrap();
    node.headwater(&["start", "report/asha"], "").unwrap();
    until("the report says so", || state(&node, "asha").contains("last error: no connection")).unwrap();
    node.kill_and_restart().unwrap();
    let mut post = Post::start(&python, port, None);
    let first = header(&post.wait(1)[0], "Message-ID");
    node.kill_and_restart().unwrap();
    // What comes behind it has passed it. A kill between the server's word and ours sends the same mail once more, which
    // its id tells.
    node.headwater(&["start", "report/asha"], "").unwrap();
    let count = if header(&post.wait(2)[1], "Message-ID") == first { 3 } else { 2 };
    assert_ne!(header(&post.wait(count)[count - 1], "Message-ID"), first);
    until("it is well again", || state(&node, "asha").contains("\"Running\"")).unwrap();
}

#[test]
fn mail_goes_over_tls_with_a_sign_in_or_not_at_all() {
    let Some(python) = client("mail_goes_over_tls", "mail/bin/python") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut post = Post::start(&python, 0, Some(folder.path()));
    let node = Node::start(HEADWATER).unwrap();
    let secret = |name: &str, text: Option<&str>| -> PathBuf {
        let file = folder.path().join(name);
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        file
    };
    let files = [("authority", secret("authority.pem", None)), ("password", secret("password", Some("open sesame\n")))];
    for (name, file) in files {
        let file = file.display();
        let yaml = format!(
            "apiVersion: headwater.dev/v1\nkind: Secret\nmetadata: {{name: {name}}}\nspec: {{from: {{file: \"{file}\"}}}}\n"
        );
        node.headwater(&["apply", "-f", "-"], &yaml).unwrap();
    }
    let secure = |more: &str| {
        let plain = format!("server: 127.0.0.1, port: {}, tls: none,", post.port);
        let tls = format!("server: localhost, port: {}, {more}", post.port);
        resources(post.port, false).replace(&plain, &tls)
    };
    node.headwater(&["apply", "-f", "-"], &secure("")).unwrap();
    node.headwater(&["produce", "sales"], SALES).unwrap();
    node.headwater(&["start", "report/bo"], "").unwrap();
    until("nobody vouches for the server", || state(&node, "bo").contains("last error: no ")).unwrap();
    let signed = secure("authority: {secret: authority}, username: headwater, password: {secret: password},");
    node.headwater(&["apply", "-f", "-"], &signed).unwrap();
    let mail = &post.wait(1)[0];
    assert_eq!((&mail["tls"], &mail["login"]), (&Value::from(true), &Value::from("headwater")));
}

#[test]
fn a_picture_of_the_dashboard_goes_with_the_mail() {
    const NAME: &str = "a_picture_of_the_dashboard";
    let Some(python) = client(NAME, "mail/bin/python") else { return };
    if Command::new("chromium").arg("--version").output().is_err() {
        return note_skip(NAME, "chromium is not there; `cargo xtask test` installs it");
    }
    let mut post = Post::start(&python, 0, None);
    let node = Node::start(HEADWATER).unwrap();
    node.headwater(&["apply", "-f", "-"], &resources(post.port, true)).unwrap();
    node.headwater(&["produce", "sales"], SALES).unwrap();
    for report in ["asha", "bo"] {
        node.headwater(&["start", &format!("report/{report}")], "").unwrap();
    }
    let mails = post.wait(2).to_vec();
    for mail in mails {
        let picture = part(&mail, "image/png");
        assert_eq!(picture["id"], "<picture>", "{mail}");
        let size: Vec<u64> = picture["size"].as_array().unwrap().iter().map(|side| side.as_u64().unwrap()).collect();
        // Both stand in the first six rows: one beside the other, or alone.
        assert_eq!(size[..2], [1280, 2 * 16 + 56 + 6 * 52 - 12]);
        assert!(size[2] > 100, "the picture is blank: {size:?}");
        let html = part(&mail, "text/html")["text"].as_str().unwrap();
        assert!(html.contains("<img src=\"cid:picture\""), "{html}");
        assert!(!part(&mail, "text/plain")["text"].as_str().unwrap().contains("Without a picture"));
    }
}

/// The bytes that Base64 stands for.
///
/// # Source
/// RFC 4648, section 4.
fn decoded(text: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits: Vec<usize> = text.trim_end_matches('=').chars().map(|digit| DIGITS.find(digit).unwrap()).collect();
    let bits = digits.iter().flat_map(|digit| (0..6).rev().map(move |bit| (digit >> bit) & 1)).collect::<Vec<_>>();
    let byte = |bits: &[usize]| u8::try_from(bits.iter().fold(0_usize, |byte, bit| byte * 2 + bit)).unwrap();
    bits.chunks_exact(8).map(byte).collect()
}

#[test]
fn a_webhook_gets_the_rows_and_the_picture_as_json() {
    const NAME: &str = "a_webhook_gets_the_rows_and_the_picture";
    if Command::new("chromium").arg("--version").output().is_err() {
        return note_skip(NAME, "chromium is not there; `cargo xtask test` installs it");
    }
    let (url, came) = server();
    let post = RESOURCES.lines().find(|line| line.contains("PORT")).unwrap();
    let hooked = RESOURCES.replace(post, &format!("  url: {url}/hook")).replace("PICTURE", "true");
    let node = Node::start(HEADWATER).unwrap();
    node.headwater(&["apply", "-f", "-"], &hooked).unwrap();
    node.headwater(&["produce", "sales"], SALES).unwrap();
    node.headwater(&["start", "report/asha"], "").unwrap();
    until("the webhook is called", || !came.lock().unwrap().is_empty()).unwrap();
    let request = came.lock().unwrap()[0].clone();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("post /hook http/1.1\r\n"), "{head}");
    for line in ["content-type: application/json", "idempotency-key: report-post.asha."] {
        assert!(head.contains(&format!("\r\n{line}")), "{line} is missing in {head}");
    }
    let report = json(body).unwrap();
    assert_eq!((&report["report"], &report["principal"]), (&Value::from("asha"), &Value::from("asha")));
    let charts = &report["charts"];
    assert_eq!(charts[0]["title"], "<img src=x onerror=alert(1)> & total");
    assert_eq!(charts[0]["rows"], serde_json::json!([[30.25]]));
    let cities = charts[1]["rows"].to_string();
    assert!(cities.contains("L'Abbaye") && !cities.contains("Wien"), "{charts}");
    assert!(!report["text"].as_str().unwrap().contains("Without a picture"), "{}", report["text"]);

    // As the mail has it: both charts in the first six rows.
    let (width, height) = (1_280_u32, 2 * 16 + 56 + 6 * 52 - 12_u32);
    let picture = &report["picture"];
    assert_eq!(picture["type"], "image/png");
    assert_eq!((&picture["width"], &picture["height"]), (&Value::from(width), &Value::from(height)));
    let png = decoded(picture["data"].as_str().unwrap());
    assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
    assert_eq!(png[16..24], [width.to_be_bytes(), height.to_be_bytes()].concat());
    assert!(png.len() > 2_000, "the picture is blank: it has {} bytes", png.len());
}
