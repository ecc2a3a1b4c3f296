//! Documents by key in little memory, put in, asked for and forgotten in any order: what comes out is byte for byte what
//! went in last, every document that goes is told, and neither their number nor their bytes grow beyond the bounds.

use std::collections::HashMap;

use headwater_kernel::packed::{Marks, Packed};

/// Operations of one input, so that one of long documents is still cheap.
const STEPS_MAX: usize = 400;
/// How much room there can be: the least and the most, as powers of two.
const ROOM: [u8; 2] = [8, 18];
/// Keys that are told apart.
const KEYS: u8 = 48;
/// The largest index of so many keys, which may have grown when there was no room for that.
const INDEX_BYTES_MAX: usize = 1_024;

/// The room, how many documents, what numbers are written by; then operations: a byte for which one and a byte for the
/// key. Behind one that puts in: a byte for the numbers, one for how often the text stands there, the text behind its
/// length.
pub fn run(bytes: &[u8]) {
    let Some(([room, count, base], mut rest)) = bytes.split_first_chunk::<3>() else { return };
    let bytes_max = 1 << (ROOM[0] + room % (ROOM[1] - ROOM[0] + 1));
    let count_max = if *count == u8::MAX { usize::MAX } else { usize::from(*count) };
    let mut packed = Packed::new(bytes_max, count_max, marks(*base));
    let mut model: HashMap<String, (Marks, Vec<u8>)> = HashMap::new();
    for _ in 0..STEPS_MAX {
        let [step, key] = *take(&mut rest, 2) else { break };
        let key = name(key);
        match step % 8 {
            0..4 => {
                let [number, times, length] = *take(&mut rest, 3) else { break };
                let text = take(&mut rest, usize::from(length)).repeat(1 << (times % 8));
                put(&mut packed, &key, marks(number), &text);
                model.insert(key, (marks(number), text));
            }
            4..6 => look(&mut packed, &mut model, &key),
            6 => {
                packed.remove(&key);
                model.remove(&key);
                assert!(!packed.holds(&key));
            }
            // Rarely, or little would come together.
            _ if step == u8::MAX => {
                packed.clear();
                model.clear();
                assert!(packed.is_empty());
            }
            _ => {}
        }
        assert!(packed.len() <= count_max && packed.len() <= model.len());
        assert!(packed.bytes() <= bytes_max + INDEX_BYTES_MAX, "{} bytes of {bytes_max}", packed.bytes());
    }
    let keys: Vec<String> = model.keys().cloned().collect();
    keys.iter().for_each(|key| look(&mut packed, &mut model, key));
    assert_eq!(packed.len(), model.len());
}

fn put(packed: &mut Packed, key: &str, marks: Marks, text: &[u8]) {
    let (before, held) = (packed.len(), packed.holds(key));
    // A value of 127 bytes or more is kept a byte longer than it stands in its text.
    let has_room = packed.has_room(key.len() + text.len() + text.len() / 100);
    let evicted = packed.put(key, marks, text);
    assert!(evicted == 0 || !has_room, "{evicted} had to go where there was room");
    let others = before - usize::from(held);
    assert_eq!(packed.len() as u64 + evicted, others as u64 + u64::from(packed.holds(key)));
}

/// A key that is there has its newest document; one that is not there stays away.
fn look(packed: &mut Packed, model: &mut HashMap<String, (Marks, Vec<u8>)>, key: &str) {
    let holds = packed.holds(key);
    let found = packed.get(key).map(|held| (held.marks, held.value().to_vec()));
    assert_eq!(found.is_some(), holds);
    if found.is_none() {
        model.remove(key);
    }
    assert_eq!(found.as_ref(), model.get(key));
}

/// Short keys and long ones, of digits, so that values can be their document's key.
fn name(key: u8) -> String {
    let number = (key % KEYS).to_string();
    if key % KEYS < 40 { number } else { number.repeat(100) }
}

/// Numbers near each other and far away.
const fn marks(number: u8) -> Marks {
    [number as u64, (number as u64).wrapping_mul(0x0101_0101_0101_0101)]
}

/// Takes so many bytes off the front, or all that are left.
fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, behind) = rest.split_at(count.min(rest.len()));
    *rest = behind;
    taken
}

pub fn seeds() -> Vec<Vec<u8>> {
    let put = |key: u8, times: u8, text: &str| {
        [&[0, key, key.wrapping_mul(7), times, text.len() as u8][..], text.as_bytes()].concat()
    };
    let texts = [
        r#"{"id":"1","n":[1,-2.5e3,true,null,"1"],"c":{"d\"":"\\\"","":""}}"#,
        " { \"id\" : 2 , \"b\" :\t\"x\" } ",
        "\"open",
        "1\"2\"",
        "",
    ];
    let each = texts.into_iter().zip(1_u8..);
    let mixed: Vec<u8> =
        each.flat_map(|(text, key)| [put(key, key, text), vec![4, key, 6, key + 1]].concat()).collect();
    // More than there is room for, some asked for again.
    let flood: Vec<u8> = (0..KEYS).flat_map(|key| [put(key, 3, texts[0]), vec![4, key % 5]].concat()).collect();
    let heads: [[u8; 3]; 3] = [[6, 255, 0], [0, 3, 9], [2, 0, 255]];
    heads.iter().flat_map(|head| [&mixed, &flood].map(|steps| [&head[..], &steps[..]].concat())).collect()
}
