use headwater_base::Limits;
use serde_json::{Value, json};

use super::*;

#[test]
fn reads_as_people_write_it() {
    let value = json!({
        "spec": {
            "steps": [
                { "id": "a", "program": ".x = 1\nif true {\n  del(.y)\n}\n" },
                { "id": "no", "when": ".k != \"v\"", "list": [], "nested": [[1, 2], []] },
            ],
            "gap": "30m", "n": 1.5, "none": null, "url": "http://127.0.0.1:9000/{key}", "empty": "", "colon": "a: b",
        },
    });
    expect_test::expect![[r#"
        spec:
          steps:
          - id: a
            program: |
              .x = 1
              if true {
                del(.y)
              }
          - id: "no"
            when: ".k != \"v\""
            list: []
            nested:
            - - 1
              - 2
            - []
          gap: "30m"
          "n": 1.5
          none: null
          url: "http://127.0.0.1:9000/{key}"
          empty: ""
          colon: "a: b"
    "#]]
    .assert_eq(&write(&value));
}

/// Values of a seeded generator: texts that YAML could take for something else, nested anyhow.
#[test]
fn reads_back_as_the_same_value() {
    use rand::{RngExt, SeedableRng};
    let seed = 20_261_123;
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let words = [
        "",
        " ",
        "a",
        "null",
        "No",
        "1",
        "1e3",
        "0x1f",
        ".5",
        "-",
        "- a",
        "a: b",
        "a:",
        "#x",
        "a #b",
        "'",
        "\"",
        "\\",
        "|",
        ">",
        "[",
        "{",
        "*a",
        "&a",
        "!t",
        "%d",
        "@x",
        "`",
        "a\nb",
        "a\n b\n",
        "a\n\nb\n",
        "\na",
        " a\nb",
        "a\n\n",
        "a\tb",
        "tab\t",
        "é",
        "\u{2028}",
        "\u{7f}",
        "\u{85}x",
        "\u{feff}",
        "~",
        "=",
        "<<",
        "2026-11-23",
        "12:30:00",
        "a\r\nb",
        "true",
        "? a",
        "x ",
        "---",
        "...",
    ];
    fn any(random: &mut rand_chacha::ChaCha8Rng, words: &[&str], depth: u32) -> Value {
        match random.random_range(0..if depth == 0 { 4 } else { 6 }) {
            0 => json!(random.random_range(-1000..1000)),
            1 => [json!(null), json!(true), json!(1.25), json!([]), json!({})][random.random_range(0..5)].clone(),
            2 | 3 => json!(words[random.random_range(0..words.len())]),
            4 => (0..random.random_range(0..4)).map(|_| any(random, words, depth - 1)).collect(),
            _ => {
                let members = (0..random.random_range(0..4)).map(|n| {
                    let word = words[random.random_range(0..words.len())];
                    (format!("{word}{n}"), any(random, words, depth - 1))
                });
                Value::Object(members.collect())
            }
        }
    }
    for round in 0..3_000 {
        let value = json!({ "v": any(&mut random, &words, 3) });
        let text = write(&value);
        let read = headwater_kernel::yaml::read("t", text.as_bytes(), &Limits::default());
        let read = read.unwrap_or_else(|problems| panic!("seed {seed} round {round}: {problems:?}\n{text}\n{value}"));
        assert_eq!(read.first().map(|document| &document.value), Some(&value), "seed {seed} round {round}\n{text}");
    }
}
