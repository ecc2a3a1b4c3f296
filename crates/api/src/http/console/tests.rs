//! What a browser gets, from built files and without them.

use http_body_util::BodyExt;
use rust_embed::Metadata;

use super::*;

fn dist(name: &str) -> Option<EmbeddedFile> {
    let data: &'static [u8] = match name {
        "index.html" => b"<!doctype html><script src=a.js></script>",
        "assets/a-1f.js" => b"alert",
        "assets/a-1f.js.gz" => b"packed",
        _ => return None,
    };
    let hash = [u8::try_from(name.len()).unwrap(); 32];
    Some(EmbeddedFile { data: Cow::Borrowed(data), metadata: Metadata::__rust_embed_new(hash, None, None) })
}

fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn places_inside_the_page_give_the_page_under_the_policy() {
    for path in ["/console", "/console/", "/console/streams/a%2Fb", "/console/../x", "/console/index.html"] {
        let response = give(path, &HeaderMap::new(), dist).unwrap();
        assert_eq!(response.headers()[CACHE_CONTROL], "no-cache");
        assert_eq!(response.headers()[CONTENT_SECURITY_POLICY], POLICY);
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
        assert_eq!(text(response).await, "<!doctype html><script src=a.js></script>", "{path}");
    }
}

#[tokio::test]
async fn hashed_files_are_kept_for_ever_and_come_packed_to_who_takes_that() {
    let path = "/console/assets/a-1f.js";
    let plain = give(path, &headers(&[(ACCEPT_ENCODING, "br, gzip;q=0")]), dist).unwrap();
    assert_eq!(plain.headers()[CACHE_CONTROL], "public, max-age=31536000, immutable");
    let tag = plain.headers()[ETAG].to_str().unwrap().to_owned();
    assert_eq!(text(plain).await, "alert");

    let packed = give(path, &headers(&[(ACCEPT_ENCODING, "deflate, GZIP;q=0.5")]), dist).unwrap();
    assert_eq!(
        (&packed.headers()[CONTENT_ENCODING], packed.headers()[ETAG].to_str().unwrap()),
        (&"gzip".parse().unwrap(), &*tag)
    );
    assert_eq!(text(packed).await, "packed");

    let known = give(path, &headers(&[(IF_NONE_MATCH, &tag)]), dist).unwrap();
    assert_eq!((known.status(), text(known).await.as_str()), (StatusCode::NOT_MODIFIED, ""));
}

#[test]
fn a_file_of_an_older_console_is_absent() {
    let fault = give("/console/assets/old.js", &HeaderMap::new(), dist).unwrap_err();
    assert_eq!((fault.status.as_u16(), fault.problem.code.as_ref()), (404, "HW-API-004"));
}

#[tokio::test]
async fn without_built_files_a_plain_page_says_how_to_build_them() {
    let response = give("/console/streams", &HeaderMap::new(), |_| None).unwrap();
    assert_eq!(response.headers()[CONTENT_SECURITY_POLICY], POLICY);
    assert!(text(response).await.contains("npm run build --prefix console"));
}
