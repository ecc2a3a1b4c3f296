use super::*;

#[test]
fn names_the_outermost_field_of_each_path() {
    let fields_of = |text: &str| {
        let names = [("#s".to_owned(), "status".to_owned())].into();
        fields(&Expression { text: text.to_owned(), names, ..Expression::default() })
    };
    assert_eq!(fields_of("SET #s = :done, cost.total = if_not_exists(cost.total, :zero) + :n"), ["status", "cost"]);
    assert_eq!(fields_of("remove tags[0], old add hits :one delete marks :set"), ["tags", "old", "hits", "marks"]);
    assert_eq!(fields_of("SET l = list_append(l, :x)"), ["l"]);
    assert!(fields_of("").is_empty());
}
