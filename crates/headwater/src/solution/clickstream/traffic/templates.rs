//! What events look like: one first level for all, different details from servers and from browsers.

use super::actors::Kind;

/// Pages and apps send these: what was on the screen.
macro_rules! client {
    ($kind:literal, $page:literal, $extra:literal) => {
        concat!(
            r#"{"id":"<id>","source":"web","kind":""#,
            $kind,
            r#"","time":"<time>","visitor":"<visitor>",<user>"device":"d<device>","ip":"<ip>","user_agent":"<agent>","listing_id":"<listing>","page":""#,
            $page,
            r#"",""#,
            r#"detail":{"#,
            $extra,
            r#""referrer":"https://market.example/closet/<small>/search?q=<query>&page=<small>","viewport":{"width":1<small>,"height":<small>,"scroll":<small>,"dpr":2},"#,
            r#""timing":{"dns":<small>,"connect":<small>,"first_byte":<small>,"dom":<small>,"load":<small>,"input_delay":<small>},"#,
            r#""experiments":[{"name":"feed_ranking_v<small>","arm":"b"},{"name":"shipping_banner","arm":"control"},{"name":"price_drop_badge","arm":"a"}],"#,
            r#""impressions":["l<small>a","l<small>b","l<small>c","l<small>d","l<small>e","l<small>f","l<small>g","l<small>h"],"campaign":{"source":"newsletter","medium":"email","name":"winter_closet_<small>","term":"<query>"},"#,
            r#""client":{"app":"web-<small>.4","locale":"en-US","timezone":"America/Los_Angeles","network":"4g","session":"<hex><hex>","cookie":"_mk=<hex>; _ab=<hex>; consent=all"},"#,
            r#""trace":{"id":"<hex><hex>","span":"<hex>","sampled":true}}}"#
        )
    };
}

/// Application servers send these: what was done.
macro_rules! server {
    ($kind:literal, $service:literal, $fields:literal, $extra:literal) => {
        concat!(
            r#"{"id":"<id>","source":"server","kind":""#,
            $kind,
            r#"","time":"<time>","visitor":"<visitor>",<user>"device":"d<device>","ip":"<ip>","user_agent":"<agent>","#,
            $fields,
            r#""page":"/"#,
            $service,
            r#"","detail":{"#,
            $extra,
            r#""service":{"name":""#,
            $service,
            r#"","host":"app-<small>.west.example","build":"2026.11.<small>","zone":"us-west-2b","pid":<small>,"pool":"blue"},"#,
            r#""request":{"id":"<hex>","method":"POST","route":"/api/v3/"#,
            $service,
            r#"/<small>","status":200,"took_ms":<small>,"bytes":<small>,"forwarded":"<ip>, 10.0.3.<small>","accept":"application/json"},"#,
            r#""database":{"queries":<small>,"took_ms":<small>,"cache_hits":<small>,"replica":"db-<small>"},"#,
            r#""flags":["fast_checkout","new_fraud_rules","closet_v2","media_cdn"],"#,
            r#""trace":{"id":"<hex><hex>","span":"<hex>","parent":"<hex>","sampled":true}}}"#
        )
    };
}

/// One template for each kind.
pub(super) const TEXTS: [(Kind, &str); 9] = [
    (Kind::View, client!("view", "/listing", r#""gallery":{"photos":<small>,"zoomed":false,"video":null},"#)),
    (
        Kind::Search,
        client!(
            "search",
            "/search",
            r#""query":{"text":"<query>","filters":{"size":"M","price_max":<small>},"results":<small>},"#
        ),
    ),
    (
        Kind::Click,
        client!(
            "click",
            "/listing",
            r#""element":{"selector":"main > section.tile:nth-child(<small>) > a","x":<small>,"y":<small>},"#
        ),
    ),
    (Kind::AddToCart, client!("add_to_cart", "/listing", r#""cart":{"items":<small>,"total":<price>,"coupon":null},"#)),
    (
        Kind::Order,
        server!(
            "order",
            "checkout",
            r#""listing_id":"<listing>","ok":true,"price":<price>,"#,
            r#""shipping":{"name":"Ann Example","street":"<street>","postcode":"94<small>","phone":"+1 555 0<small>"},"payment":{"brand":"visa","holder":"Ann Example","last4":"4<small>"},"#
        ),
    ),
    (
        Kind::Message,
        server!(
            "message",
            "inbox",
            r#""listing_id":"<listing>","#,
            r#""message":{"length":<small>,"to":"u<small>","text":"Hello, would you ship this to <street>?"},"#
        ),
    ),
    (
        Kind::SignUp,
        server!(
            "sign_up",
            "account",
            r#""email":"<email>","ok":true,"#,
            r#""form":{"took_ms":<small>,"fields":7,"captcha":"passed","invited_by":null},"#
        ),
    ),
    (
        Kind::SignIn,
        server!(
            "sign_in",
            "account",
            r#""email":"<email>","ok":<ok>,"#,
            r#""method":{"kind":"password","second_factor":false,"remember":true},"#
        ),
    ),
    (
        Kind::ListingCreate,
        server!(
            "listing_create",
            "listings",
            r#""listing_id":"<listing>","title":"<title>","price":<price>,"#,
            r#""listing":{"photos":<small>,"category":"women","size":"M","description":"Worn once, smoke-free home, ships next day from <street>."},"#
        ),
    ),
];

pub(super) const BROWSERS: [&str; 12] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.6778.39 Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0",
    "Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 13; SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/26.0 Chrome/122.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/130.0.6723.90 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 12; moto g power) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Mobile Safari/537.36",
];

pub(super) const SCRIPTS: [&str; 6] = [
    "python-requests/2.32.3",
    "Go-http-client/2.0",
    "curl/8.9.1",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/130.0.6723.58 Safari/537.36",
    "okhttp/4.12.0",
    "Apache-HttpClient/4.5.14 (Java/17.0.9)",
];

pub(super) const QUERIES: [&str; 10] = [
    "denim+jacket",
    "wool+coat",
    "ankle+boots+size+8",
    "vintage+tee",
    "silk+blouse",
    "tote+bag",
    "maxi+dress",
    "rain+parka",
    "kids+sneakers",
    "cashmere",
];

pub(super) const STREETS: [&str; 6] = ["Main St", "Oak Avenue", "Mission Rd", "Elm Court", "Hill Lane", "Harbor Way"];
