//! docs/compatibility.md says what is served; so does ApiVersions.

use super::*;

#[tokio::test]
async fn the_page_on_compatibility_lists_what_is_served() {
    let served: ApiVersionsResponse = Peer::new().await.ask(18, 3, ApiVersionsRequest::default()).await;
    let rows = served.api_keys.iter().map(|api| {
        let name = ApiKey::try_from(api.api_key).unwrap();
        // Produce 0 to 2 is told of, and refused: see the page.
        let min = if api.api_key == 0 { 3 } else { api.min_version };
        format!("| {} | {name:?} | {min} to {} |", api.api_key, api.max_version)
    });
    let page = include_str!("../../../../../docs/compatibility.md");
    let table: Vec<&str> = page.lines().skip_while(|line| *line != "|---|---|---|").skip(1).collect();
    let table: Vec<&str> = table.into_iter().take_while(|line| line.starts_with('|')).collect();
    let missing: Vec<String> = rows.filter(|row| !table.contains(&row.as_str())).collect();
    assert!(missing.is_empty(), "these rows are missing:\n{}", missing.join("\n"));
    assert_eq!(table.len(), served.api_keys.len(), "a row too many");
}
