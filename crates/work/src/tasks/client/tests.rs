use super::*;

#[test]
fn only_addresses_of_the_public_internet_are_open() {
    let open = [
        "8.8.8.8",
        "1.1.1.1",
        "100.63.0.1",
        "172.32.0.1",
        "2606:4700::1111",
        "2a00:1450::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ];
    let closed = [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd12::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001::1",
        "2001:db8::1",
        "fec0::1",
        "fd00:ec2::254",
    ];
    for (list, expected) in [(&open[..], true), (&closed[..], false)] {
        for text in list {
            assert_eq!(is_public(text.parse().unwrap()), expected, "{text}");
        }
    }
}

#[tokio::test]
async fn a_closed_address_is_refused_in_every_way_of_writing_it() {
    let client = HttpClient::new(Settings::default()).unwrap();
    for text in [
        "http://127.0.0.1:9/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::1]/",
        "http://localhost:9/",
        "http://[::ffff:7f00:1]/",
    ] {
        let request = Request {
            method: Method::GET,
            url: address(text).unwrap(),
            headers: Vec::new(),
            body: None,
            timeout: Duration::from_secs(5),
        };
        let answer = client.send(request).await;
        assert!(matches!(answer, Err(Unanswered::Closed(_))), "{text}: {answer:?}");
    }
}

#[test]
fn addresses_that_are_none_are_refused() {
    for text in ["", "host/path", "file:///etc/passwd", "ftp://host/", "http://user:word@host/", "http://"] {
        assert!(address(text).is_err(), "{text}");
    }
}

#[test]
fn functions_at_an_address_that_is_none_are_refused_at_once() {
    for text in ["functions", "ftp://host/"] {
        let settings = Settings { functions_url: Some(text.to_owned()), ..Settings::default() };
        assert_eq!(HttpClient::new(settings).unwrap_err().code, "HW-WORK-050", "{text}");
    }
}
