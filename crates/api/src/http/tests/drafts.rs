//! Drafts over HTTP. The house has no kind Dashboard, so that none can be published: that is the console's test.

use super::*;

const DRAFT: &str = "/v1/dashboards/sales/draft";

impl House {
    async fn keep(&self, headers: &str, text: &str) -> (u16, String) {
        let headers = format!("content-type: application/yaml\r\n{headers}");
        self.with("PUT", &format!("{DRAFT}?resourceVersion=3"), &headers, text).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_kept_by_version_and_listed() {
    let house = house().await;
    assert_eq!(code(&house.get(DRAFT).await), "404 HW-KERNEL-039");
    assert_eq!(code(&house.with("DELETE", DRAFT, "", "").await), "404 HW-KERNEL-039");
    let kept = house.keep("headwater-principal: asha\r\n", "# half\nspec: {").await;
    let version = body(&kept)["version"].as_u64().unwrap();
    assert_eq!((kept.0, body(&kept).get("text")), (201, None));
    assert_eq!(code(&house.keep("if-none-match: *\r\n", "").await), "409 HW-KERNEL-038");
    let mine = format!("if-match: \"{version}\"\r\n");
    assert_eq!(house.keep(&mine, "# more\n").await.0, 200);
    assert_eq!(code(&house.keep(&mine, "# less\n").await), "409 HW-KERNEL-038");

    let draft = body(&house.get(DRAFT).await);
    assert_eq!(
        (&draft["text"], &draft["who"], &draft["resourceVersion"], draft["version"].as_u64()),
        (&Value::from("# more\n"), &Value::from("admin"), &Value::from(3), Some(version + 1))
    );
    let listed = body(&house.get("/v1/drafts").await);
    assert_eq!((listed["items"][0]["name"].as_str(), listed["items"][0].get("text")), (Some("sales"), None));

    let publish = format!("{DRAFT}/publish");
    assert_eq!(code(&house.with("POST", &publish, "", "").await), "400 HW-API-009");
    assert_eq!(code(&house.with("POST", &publish, &mine, "").await), "409 HW-KERNEL-038");
    let newest = format!("if-match: \"{}\"\r\n", version + 1);
    assert_eq!(code(&house.with("POST", &publish, &newest, "").await), "400 HW-KERNEL-042");
    assert_eq!(code(&house.with("DELETE", DRAFT, &mine, "").await), "409 HW-KERNEL-038");
    assert_eq!(house.with("DELETE", DRAFT, &newest, "").await.0, 200);
    assert_eq!(body(&house.get("/v1/drafts").await)["items"], Value::Array(Vec::new()));

    let begun = format!("{DRAFT}?resourceVersion=x");
    assert_eq!(code(&house.send("PUT", &begun, "application/yaml", "").await), "400 HW-API-009");
    assert_eq!(code(&house.send("PUT", DRAFT, "text/html", "").await), "415 HW-API-007");
    house.stop().await;
}
