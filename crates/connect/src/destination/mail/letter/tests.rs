#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(value: &Value) -> Letter {
    Letter::read(value.to_string().as_bytes())
}

#[test]
fn a_report_is_words_and_tables() {
    let letter = read(&json!({
        "subject": "Sales: 2026-01-01",
        "text": "Sales\nof yesterday",
        "charts": [
            {"title": "By country", "columns": ["country", "revenue"], "rows": [["CH", "15.00"], ["Österreich", 7.5]], "note": "2 of 3 rows"},
            {"title": "Broken", "columns": [], "rows": [], "note": "Not drawn: HW-LAKE-041: no such column"},
        ],
    }));
    assert_eq!(letter.subject(), "Sales: 2026-01-01");
    let plain = "Sales\nof yesterday\n\nBy country\n----------\ncountry     revenue\nCH          15.00\n\
                 Österreich  7.5\n2 of 3 rows\n\nBroken\n------\nNot drawn: HW-LAKE-041: no such column\n";
    assert_eq!(letter.plain(), plain);
    let html = letter.html();
    for part in ["<h3>By country</h3>", ">country</th>", "<td align=\"right\"", ">15.00</td>", "<p>2 of 3 rows</p>"] {
        assert!(html.contains(part), "{part} is not in {html}");
    }
}

#[test]
fn an_alert_says_it_itself_and_any_other_event_is_shown() {
    let alert = json!({"alarm": "low", "subject": "Alarm low: 3", "text": "sales: the value is 3", "rows": []});
    assert_eq!((read(&alert).subject(), read(&alert).plain().as_str()), ("Alarm low: 3", "sales: the value is 3\n"));
    let within = json!({"detail-type": "Alert", "source": "shop", "detail": alert});
    assert_eq!(read(&within).subject(), "Alarm low: 3");
    let order = json!({"detail-type": "Order Placed", "source": "shop", "detail": {"n": 1}});
    assert_eq!(read(&order).subject(), "Order Placed from shop");
    assert!(read(&order).plain().contains("\"n\": 1"));
    assert_eq!(Letter::read(b"[1]").subject(), "An event");
    assert_eq!(read(&json!({"text": "first\nsecond"})).subject(), "first");
}

#[test]
fn only_a_png_is_a_picture() {
    let with = |data: &[u8]| read(&json!({"text": "t", "picture": {"data": STANDARD.encode(data)}}));
    let shown = with(b"\x89PNG\r\n\x1a\nrest");
    assert!(shown.html().contains("<img src=\"cid:picture\""));
    let mail = String::from_utf8(shown.parts().formatted()).unwrap();
    for part in ["multipart/alternative", "multipart/related", "Content-ID: <picture>", "Content-Type: image/png"] {
        assert!(mail.contains(part), "{part} is not in {mail}");
    }
    let script = with(b"<svg onload=alert(1)>");
    assert_eq!((script.picture.is_none(), script.html().contains("<img")), (true, false));
}

proptest! {
    /// Whatever an event says: no tag, no header and no line of a header is its own.
    #[test]
    fn nothing_of_an_event_is_more_than_text(word in ".*", other in "[<>&\"'\r\n\0a-z:]*") {
        let hostile = json!({
            "subject": format!("{word}\r\nBcc: {other}"),
            "text": other,
            "charts": [{"title": word, "columns": [other], "rows": [[word], [{"a": other}]], "note": other}],
        });
        let letter = read(&hostile);
        prop_assert!(!letter.subject().contains(char::is_control));
        let html = letter.html();
        let own = html.replace("<tr>", "").replace("</tr>", "");
        let tags = own.matches('<').count();
        // Doctype, html, head, meta, title, body, p, h3, table, th and two td, p: each with its end but two.
        prop_assert_eq!(tags, read(&json!({
            "subject": "s", "text": "t",
            "charts": [{"title": "t", "columns": ["c"], "rows": [["w"], ["x"]], "note": if other.is_empty() { "" } else { "n" }}],
        })).html().replace("<tr>", "").replace("</tr>", "").matches('<').count());
        prop_assert!(!letter.plain().contains('\r') && !letter.plain().contains('\0'));
    }
}
