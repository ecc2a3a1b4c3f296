#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;

use bytes::Bytes;
use headwater_base::{Limits, Micros};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::super::KIND;
use super::*;

fn spec(more: Value) -> MailSpec {
    let mut spec = json!({"server": "127.0.0.1", "tls": "none", "from": "Headwater <node@example.com>", "to": ["asha@example.com"]});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

/// A mail server that answers each line with the next of its answers; what it was told.
async fn server(answers: &[&'static str]) -> (u16, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut answers: VecDeque<&'static str> = answers.iter().copied().collect();
    let told = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let (read, mut write) = socket.into_split();
        let mut lines = BufReader::new(read).lines();
        let (mut told, mut data) = (Vec::new(), false);
        write.write_all(b"220 here\r\n").await.unwrap();
        while let Ok(Some(line)) = lines.next_line().await {
            let ends = line == ".";
            if !data || ends {
                let Some(answer) = answers.pop_front() else { break };
                data = answer.starts_with("354");
                write.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
            }
            told.push(line);
        }
        told
    });
    (port, told)
}

async fn send(port: u16, body: &Value) -> Result<Answer, NotTaken> {
    let context = Context::without_node(".");
    let outlet = build(&spec(json!({"port": port})), None, Duration::from_secs(10), &context).unwrap();
    let body = Bytes::from(body.to_string());
    outlet.send(Outgoing { key: "rule.a.0.in-0-7", body: &body, now: Micros(1_767_225_600_000_000), asked: None }).await
}

#[tokio::test]
async fn a_mail_goes_to_whom_the_spec_says_with_an_id_of_its_own() {
    let (port, told) = server(&["250 here", "250 ok", "250 ok", "354 go on", "250 taken", "221 bye"]).await;
    let hostile = json!({"subject": "Low\r\nBcc: eve@example.com", "text": ".\r\nQUIT\r\n<b>bold</b>", "to": ["eve@example.com"]});
    send(port, &hostile).await.unwrap();
    let told = told.await.unwrap();
    assert_eq!(told.iter().filter(|line| line.starts_with("RCPT")).collect::<Vec<_>>(), ["RCPT TO:<asha@example.com>"]);
    let head: Vec<&String> = told.iter().skip(4).take_while(|line| !line.is_empty()).collect();
    for line in [
        "From: Headwater <node@example.com>",
        "To: asha@example.com",
        "Subject: Low  Bcc: eve@example.com",
        "Date: Thu, 01 Jan 2026 00:00:00 +0000",
        "Auto-Submitted: auto-generated",
        &format!("Message-ID: {}", id("rule.a.0.in-0-7", "example.com")),
    ] {
        assert!(head.iter().any(|found| *found == line), "{line} is not in {head:#?}");
    }
    assert!(!head.iter().any(|line| line.starts_with("Bcc:")), "{head:#?}");
    assert!(told.iter().any(|line| line.contains("&lt;b&gt;bold&lt;/b&gt;")), "{told:#?}");
    assert_eq!(told.iter().filter(|line| *line == ".").count(), 1, "a dot of the text is none of the protocol's");
}

#[tokio::test]
async fn the_answer_says_whether_another_try_helps() {
    for (answers, status, again) in [
        (&["250 here", "451 later"][..], Some(451), true),
        (&["250 here", "250 ok", "550 nobody"][..], Some(550), false),
        (&["250 here", "250 ok", "250 ok", "354 go on", "452 full"][..], Some(452), true),
    ] {
        let (port, _told) = server(answers).await;
        let refused = send(port, &json!({})).await.unwrap_err();
        assert_eq!((refused.status, refused.again), (status, again), "{answers:?}: {}", refused.reason);
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let refused = send(closed, &json!({})).await.unwrap_err();
    assert_eq!((refused.again, refused.reason.as_str()), (true, "no connection"));
}

#[tokio::test]
async fn a_server_without_tls_gets_nothing() {
    let (port, told) = server(&["250 here", "221 bye"]).await;
    let context = Context::without_node(".");
    let outlet =
        build(&spec(json!({"port": port, "tls": "starttls"})), None, Duration::from_secs(10), &context).unwrap();
    let body = Bytes::from_static(b"{}");
    let refused = outlet.send(Outgoing { key: "k", body: &body, now: Micros(0), asked: None }).await.unwrap_err();
    assert!(refused.again, "{refused:?}");
    assert!(!told.await.unwrap().iter().any(|line| line.starts_with("MAIL")));
}

#[test]
fn each_fault_is_told_with_its_place() {
    let told = |mail: &str| -> Vec<(u32, String)> {
        let registry = headwater_kernel::Registry::new(&[KIND]);
        let yaml = format!("apiVersion: headwater.dev/v1\nkind: Destination\nmetadata: {{name: m}}\nspec:\n{mail}");
        let drafts = registry.read("m.yaml", yaml.as_bytes(), &Limits::default()).unwrap();
        let context = Context::without_node(".");
        let view = headwater_kernel::kind::View {
            registry: &registry,
            context: &context,
            drafts: &std::collections::HashMap::new(),
            stored: &|_, _| None,
        };
        let problems = (KIND.validate)(&drafts[0], &view);
        problems.into_iter().map(|problem| (problem.place.unwrap().line, problem.code)).collect()
    };
    let mail = |more: &str| {
        format!("  mail:\n    server: mail.example.com\n    from: a@example.com\n    to: [b@example.com]\n{more}")
    };
    assert_eq!(told(&mail("")), []);
    assert_eq!(told(&mail("    tls: implicit\n    username: a\n    password: {secret: p}\n")), []);
    let code = |line, code: &str| (line, code.to_owned());
    assert_eq!(told("  rate: 1\n"), [code(5, "HW-CONNECT-112")]);
    assert_eq!(told(&format!("  url: http://127.0.0.1/\n{}", mail(""))).len(), 1);
    assert_eq!(told(&format!("  method: PUT\n{}", mail("")))[0].1, "HW-CONNECT-112");
    assert_eq!(told(&mail("    tls: none\n")), [code(9, "HW-CONNECT-113")]);
    assert_eq!(told(&mail("    username: a\n"))[0].1, "HW-CONNECT-113");
    for address in [
        "\"\"",
        "asha",
        "a@b@c",
        "\"a@example.com\\r\\nBcc: eve@example.com\"",
        "a@example.com; b@example.com",
        "\"a@example.com, b@example.com\"",
    ] {
        let yaml = format!("  mail: {{server: localhost, tls: none, from: a@example.com, to: [{address}]}}\n");
        assert_eq!(told(&yaml), [code(5, "HW-CONNECT-113")], "{address}");
    }
}
