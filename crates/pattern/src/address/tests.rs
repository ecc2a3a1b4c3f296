use super::*;

#[test]
fn literal_addresses_only() {
    assert_eq!(parse(b"10.0.0.1"), Some(Address { v6: false, number: 0x0A00_0001 }));
    assert_eq!(parse(b"2001:0DB8::1"), parse(b"2001:db8:0:0:0:0:0:1"));
    assert_eq!(parse(b"::ffff:0a00:0001"), parse(b"10.0.0.1"));
    for text in [
        "",
        "10.0.0",
        "10.0.0.256",
        "010.0.0.1",
        "10.0.0.1 ",
        "localhost",
        "a.b.c.d",
        "::g",
        "1::2::3",
        "::ffff:10.0.0.1",
    ] {
        assert_eq!(parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn blocks() {
    let numbers = |text: &str| block(text).map(|(first, last)| (first.number, last.number));
    assert_eq!(numbers("10.0.0.0/24"), Ok((0x0A00_0000, 0x0A00_00FF)));
    assert_eq!(numbers("10.0.0.5/24"), Ok((0x0A00_0005, 0x0A00_00FF)), "the first address is the one written");
    assert_eq!(numbers("0.0.0.0/0"), Ok((0, u128::from(u32::MAX))));
    assert_eq!(numbers("::/0"), Ok((0, u128::MAX)));
    assert_eq!(numbers("::2/127"), Ok((2, 3)));
    for (text, reason) in [
        ("10.0.0.0", "Malformed CIDR, one '/' required"),
        ("10.0.0.0/1/2", "Malformed CIDR, one '/' required"),
        ("bad-/64filter", "Malformed CIDR, mask bits must be an integer"),
        ("10.0.0.0/-1", "Malformed CIDR, mask bits must not be negative"),
        ("10.0.0.0/32", "IPv4 mask bits must be < 32"),
        ("::/128", "IPv6 mask bits must be < 128"),
        ("example/8", "Nonstandard IP address: example"),
    ] {
        assert_eq!(numbers(text), Err(reason.to_owned()));
    }
}
