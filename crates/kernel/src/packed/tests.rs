use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn user(n: usize) -> (String, String) {
    let key = format!("u{n:07}");
    let hash = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let text = format!(
        r#"{{"user_id":"{key}","country":"US","device":"d{:08x}","tier":"member","since":{},"orders":{}}}"#,
        hash as u32,
        1_420_070_400 + hash % 330_000_000,
        hash % 300
    );
    (key, text)
}

fn text(packed: &mut Packed, key: &str) -> Option<String> {
    packed.get(key).map(|held| String::from_utf8(held.value().to_vec()).unwrap())
}

#[test]
fn what_comes_out_is_what_went_in() {
    let mut packed = Packed::new(1 << 20, usize::MAX, [0, 0]);
    let texts = [
        "",
        "{}",
        "no JSON",
        "\"open",
        "\"half\\",
        "{\"a\":",
        "1\"2\"",
        "null",
        r#"{"a":"k","b":[1,-2.5e3,true,null,"k"],"c":{"d\"":"\\\"","":""}}"#,
        " { \"a\" : 1 , \"b\" :\t\"x\" } ",
        r#"{"a":"0k","b":[1,-2.5e3,false,null,"k"],"c":{"d\"":"\\\"","":""}}"#,
    ];
    let long = format!(r#"{{"{}":1}}"#, "name".repeat(20_000));
    let wide = format!("[{}1]", "1,".repeat(5_000));
    for text in texts.into_iter().chain([long.as_str(), wide.as_str()]) {
        packed.put("k", [7, u64::MAX], text.as_bytes());
        let held = packed.get("k").unwrap();
        assert_eq!((held.marks, held.value().as_ref()), ([7, u64::MAX], text.as_bytes()));
    }
    assert_eq!(packed.len(), 1);
    packed.remove("k");
    assert!(packed.is_empty() && packed.get("k").is_none());
}

#[test]
fn a_million_users_fit_into_a_tables_cache_but_for_a_few() {
    // A sixteenth of them into a sixteenth of it: the largest part of the table, and what is around it.
    let mut packed = Packed::new(4 << 20, usize::MAX, [0, 1_790_000_000_000_000]);
    for n in 0..62_500 {
        let (key, text) = user(n);
        packed.put(&key, [n as u64 + 1, 1_790_000_060_000_000 + n as u64 * 1_000], text.as_bytes());
    }
    assert!(packed.len() > 56_000 && packed.bytes() <= 4 << 20, "{} in {} bytes", packed.len(), packed.bytes());
    let (key, whole) = user(62_499);
    assert_eq!(text(&mut packed, &key), Some(whole));
}

#[test]
fn a_flood_of_keys_seen_once_does_not_drive_out_the_busy_ones() {
    let mut packed = Packed::new(1 << 20, usize::MAX, [0, 0]);
    let busy: Vec<(String, String)> = (0..1_000).map(user).collect();
    for (key, text) in &busy {
        packed.put(key, [1, 1], text.as_bytes());
    }
    let mut evicted = 0;
    for n in 1_000..100_000 {
        let (key, text) = user(n);
        evicted += packed.put(&key, [1, 1], text.as_bytes());
        let (key, whole) = &busy[n % busy.len()];
        assert_eq!(self::text(&mut packed, key).as_ref(), Some(whole), "at {n}");
    }
    assert!(evicted > 50_000 && packed.bytes() <= 1 << 20);
}

#[test]
fn a_document_written_over_and_over_drives_out_nothing() {
    let mut packed = Packed::new(1 << 16, usize::MAX, [0, 0]);
    packed.put("other", [1, 1], b"{}");
    let before = packed.bytes();
    for n in 0..100_000_u64 {
        assert_eq!(
            packed.put("counter", [1_000_000 + n, 1_000_000], format!(r#"{{"n":{}}}"#, 100_000 + n).as_bytes()),
            0
        );
    }
    assert_eq!((packed.len(), packed.bytes()), (2, before));
    assert_eq!(packed.get("counter").unwrap().marks, [1_099_999, 1_000_000]);
}

#[test]
fn documents_of_all_sizes_keep_within_the_bounds() {
    for (bytes_max, count_max) in
        [(1 << 20, usize::MAX), (1 << 20, 100), (1 << 26, 10), (2_000, 5), (0, 5), (1 << 20, 0)]
    {
        let mut packed = Packed::new(bytes_max, count_max, [0, 0]);
        for n in 0_usize..1_000 {
            let size = [10, 100, 1_000, 20_000, 300_000][n % 5];
            let value = char::from(b'a' + (n % 23) as u8).to_string().repeat(size);
            packed.put(&format!("k{}", n % 700), [n as u64, 0], format!("\"{value}\"").as_bytes());
            packed.get(&format!("k{}", n * 7 % 700));
            assert!(packed.len() <= count_max);
            assert!(packed.bytes() <= bytes_max + 32 * 1_024, "{} of {bytes_max}", packed.bytes());
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u64, String),
    Get(u8),
    Remove(u8),
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    let number = any::<i32>().prop_map(|n| n.to_string());
    let value = prop_oneof![number, "\"[a-k\"\\\\]{0,12}\"", Just("true".to_owned()), "[ -~]{0,300}"];
    let object = proptest::collection::vec(("[a-c]", value), 0..4).prop_map(|fields| {
        let fields: Vec<String> = fields.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    });
    prop_oneof![
        8 => (0_u8..40, any::<u64>(), object).prop_map(|(key, mark, text)| Step::Put(key, mark, text)),
        8 => (0_u8..40).prop_map(Step::Get),
        2 => (0_u8..40).prop_map(Step::Remove),
        1 => Just(Step::Clear),
    ]
}

proptest! {
    /// Whatever is put in and forgotten: a key has its newest document or none, and there is always room for the last one.
    #[test]
    fn a_key_has_its_newest_document_or_none(
        steps in proptest::collection::vec(step(), 1..400),
        bytes_max in 6_000_usize..40_000,
        count_max in 3_usize..60,
        base in any::<[u64; 2]>(),
    ) {
        let mut packed = Packed::new(bytes_max, count_max, base);
        let mut model: HashMap<u8, (u64, String)> = HashMap::new();
        for step in steps {
            match step {
                Step::Put(key, mark, text) => {
                    packed.put(&key.to_string(), [mark, !mark], text.as_bytes());
                    prop_assert!(packed.holds(&key.to_string()));
                    model.insert(key, (mark, text));
                }
                Step::Get(key) => {
                    let found = packed.get(&key.to_string()).map(|held| (held.marks, held.value()));
                    if let Some((marks, value)) = found {
                        let (mark, text) = &model[&key];
                        prop_assert_eq!((marks, value.as_ref()), ([*mark, !*mark], text.as_bytes()));
                    }
                }
                Step::Remove(key) => {
                    packed.remove(&key.to_string());
                    prop_assert!(!packed.holds(&key.to_string()));
                    model.remove(&key);
                }
                Step::Clear => {
                    packed.clear();
                    model.clear();
                    prop_assert!(packed.is_empty());
                }
            }
            prop_assert!(packed.len() <= count_max);
        }
        for (key, (mark, text)) in &model {
            if let Some(held) = packed.get(&key.to_string()) {
                let value = held.value();
                prop_assert_eq!((held.marks, value.as_ref()), ([*mark, !*mark], text.as_bytes()));
            }
        }
    }
}
