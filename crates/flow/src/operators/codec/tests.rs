use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn what_is_written_is_read_back(a: u64, b: i64, c: i128, d: f64, e: Vec<u8>, base: i64, time: i64) {
        let mut out = Vec::new();
        put_u64(&mut out, a);
        put_i64(&mut out, b);
        put_i128(&mut out, c);
        put_f64(&mut out, d);
        put_bytes(&mut out, &e);
        put_time(&mut out, Micros(base), Micros(time));
        let mut reader = Reader::new(&out);
        prop_assert_eq!(reader.u64().unwrap(), a);
        prop_assert_eq!(reader.i64().unwrap(), b);
        prop_assert_eq!(reader.i128().unwrap(), c);
        prop_assert_eq!(reader.f64().unwrap().to_bits(), d.to_bits());
        prop_assert_eq!(reader.bytes().unwrap(), e.as_slice());
        prop_assert_eq!(reader.time(Micros(base)).unwrap(), Micros(time));
        prop_assert!(reader.end().is_ok());
    }

    #[test]
    fn nonsense_is_an_error_and_never_a_panic(bytes: Vec<u8>) {
        let mut reader = Reader::new(&bytes);
        while reader.left() > 0 {
            let before = reader.left();
            let _ = reader.clone().i128();
            let _ = reader.clone().bytes();
            let _ = reader.clone().text();
            let _ = reader.clone().f64();
            if reader.u64().is_err() || reader.left() == before {
                break;
            }
        }
    }
}

#[test]
fn a_varint_beyond_its_width_is_refused() {
    assert!(Reader::new(&[0xff; 11]).u64().is_err());
    assert!(Reader::new(&[0xff; 30]).i128().is_err());
    assert!(Reader::new(&[0x80]).u64().is_err());
}
