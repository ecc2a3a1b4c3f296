use super::*;

#[test]
fn unreserved_characters_stay() {
    assert_eq!(encode(b"aZ09-._~"), "aZ09-._~");
    assert_eq!(encode("a b/c?d=é%".as_bytes()), "a%20b%2Fc%3Fd%3D%C3%A9%25");
    assert_eq!(encode(b""), "");
}
