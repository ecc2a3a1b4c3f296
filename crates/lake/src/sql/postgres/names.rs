//! What PostgreSQL calls a column that its statement gives no name: tools and programs look columns up by it.
//!
//! The engine names such a column by the whole of its expression. Only what precedes the rows of an answer says otherwise;
//! within a statement the engine's names hold.
//!
//! # Source
//! PostgreSQL 17, `FigureColnameInternal` in `src/backend/parser/parse_target.c`; `SystemTypeName` in `gram.y`.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, DataType, Expr, ObjectName, Query, SelectItem, SetExpr, Statement, TimezoneInfo,
    TrimWhereField,
};

use crate::sql::doubles::folded;

/// What a column is called of which nothing says more.
const UNKNOWN: &str = "?column?";

/// One part of what is selected.
enum Item {
    /// A column, and its name.
    One(String),
    /// Those of a relation.
    Many,
}

/// The names of an answer's columns, each where the statement says it.
pub fn names(statement: &Statement, columns: usize) -> Vec<Option<String>> {
    let mut names = vec![None; columns];
    let Statement::Query(query) = statement else { return names };
    let items = items(&query.body);
    let has_many = items.iter().any(|item| matches!(item, Item::Many));
    if !has_many && items.len() != columns {
        return names;
    }
    // Those in front of the first relation, and those behind the last one.
    for (name, item) in names.iter_mut().zip(&items) {
        let Item::One(known) = item else { break };
        *name = Some(known.clone());
    }
    for (name, item) in names.iter_mut().rev().zip(items.iter().rev()) {
        let Item::One(known) = item else { break };
        *name = Some(known.clone());
    }
    names
}

/// The name of a column behind others that are called so, without the number by which the engine tells two of one name
/// apart.
pub fn said<'a>(name: &'a str, before: &BTreeSet<String>) -> &'a str {
    match name.rsplit_once(':') {
        Some((said, number)) if number.parse::<usize>().is_ok() && before.contains(said) => said,
        _ => name,
    }
}

/// What a query selects; of several that are put together, the first.
fn items(body: &SetExpr) -> Vec<Item> {
    match body {
        SetExpr::Select(select) => select.projection.iter().map(item).collect(),
        SetExpr::Query(query) => items(&query.body),
        SetExpr::SetOperation { left, .. } => items(left),
        _ => vec![Item::Many],
    }
}

fn item(selected: &SelectItem) -> Item {
    match selected {
        SelectItem::UnnamedExpr(expression) => {
            Item::One(figured(expression).map_or_else(|| UNKNOWN.to_owned(), |figured| figured.name))
        }
        SelectItem::ExprWithAlias { alias, .. } => Item::One(folded(alias)),
        SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => Item::Many,
    }
}

/// A name that an expression suggests.
struct Figured {
    name: String,
    /// Whether it stays where a type's name would do as well.
    is_strong: bool,
}

fn strong(name: impl Into<String>) -> Option<Figured> {
    Some(Figured { name: name.into(), is_strong: true })
}

/// What `of` suggests, or else this.
fn weak(of: Option<Figured>, name: impl Into<String>) -> Option<Figured> {
    of.filter(|figured| figured.is_strong).or_else(|| Some(Figured { name: name.into(), is_strong: false }))
}

fn figured(expression: &Expr) -> Option<Figured> {
    match expression {
        Expr::Identifier(name) => strong(folded(name)),
        Expr::CompoundIdentifier(names) => strong(folded(names.last()?)),
        Expr::CompoundFieldAccess { root, access_chain } => {
            let field = access_chain.iter().rev().find_map(|access| match access {
                AccessExpr::Dot(Expr::Identifier(name)) => Some(folded(name)),
                _ => None,
            });
            field.map_or_else(|| figured(root), strong)
        }
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => figured(inner),
        Expr::Function(function) => strong(last(&function.name)?),
        Expr::Cast { expr, data_type, .. } => weak(figured(expr), type_name(data_type)),
        Expr::TypedString(typed) => weak(None, type_name(&typed.data_type)),
        Expr::Interval(_) => weak(None, "interval"),
        Expr::Case { else_result, .. } => weak(else_result.as_deref().and_then(figured), "case"),
        Expr::Exists { negated: false, .. } => strong("exists"),
        Expr::Subquery(query) => of_subquery(query),
        Expr::Array(_) => strong("array"),
        Expr::Tuple(_) => strong("row"),
        Expr::Extract { .. } => strong("extract"),
        Expr::Ceil { .. } => strong("ceil"),
        Expr::Floor { .. } => strong("floor"),
        Expr::Position { .. } => strong("position"),
        Expr::Substring { shorthand, .. } => strong(if *shorthand { "substr" } else { "substring" }),
        Expr::Overlay { .. } => strong("overlay"),
        Expr::AtTimeZone { .. } => strong("timezone"),
        Expr::Trim { trim_where, .. } => strong(match trim_where {
            None | Some(TrimWhereField::Both) => "btrim",
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
        }),
        _ => None,
    }
}

/// The name of a subquery's only column.
fn of_subquery(query: &Query) -> Option<Figured> {
    let SetExpr::Select(select) = &*query.body else { return None };
    match select.projection.first()? {
        SelectItem::ExprWithAlias { alias, .. } => strong(folded(alias)),
        SelectItem::UnnamedExpr(expression) => {
            strong(figured(expression).map_or_else(|| UNKNOWN.to_owned(), |figured| figured.name))
        }
        _ => None,
    }
}

fn last(name: &ObjectName) -> Option<String> {
    name.0.last().and_then(|part| part.as_ident()).map(folded)
}

/// What PostgreSQL's own tables call a type.
fn type_name(kind: &DataType) -> String {
    let zoned = |zone: &TimezoneInfo| matches!(zone, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz);
    let name = match kind {
        DataType::SmallInt(_) | DataType::Int2(_) => "int2",
        DataType::Int(_) | DataType::Int4(_) | DataType::Integer(_) => "int4",
        DataType::BigInt(_) | DataType::Int8(_) => "int8",
        DataType::Real | DataType::Float4 => "float4",
        DataType::Float(_) | DataType::Float8 | DataType::Double(_) | DataType::DoublePrecision => "float8",
        DataType::Numeric(_) | DataType::Decimal(_) | DataType::Dec(_) => "numeric",
        DataType::Varchar(_) | DataType::CharacterVarying(_) | DataType::CharVarying(_) => "varchar",
        DataType::Char(_) | DataType::Character(_) => "bpchar",
        DataType::Boolean | DataType::Bool => "bool",
        DataType::Timestamp(_, zone) => {
            if zoned(zone) {
                "timestamptz"
            } else {
                "timestamp"
            }
        }
        DataType::Time(_, zone) => {
            if zoned(zone) {
                "timetz"
            } else {
                "time"
            }
        }
        DataType::Interval { .. } => "interval",
        DataType::Array(
            ArrayElemTypeDef::AngleBracket(item)
            | ArrayElemTypeDef::SquareBracket(item, _)
            | ArrayElemTypeDef::Parenthesis(item),
        ) => return type_name(item),
        DataType::Custom(name, _) => return last(name).unwrap_or_else(|| UNKNOWN.to_owned()),
        other => {
            let shown = other.to_string().to_lowercase();
            return shown.split('(').next().unwrap_or_default().to_owned();
        }
    };
    name.to_owned()
}

#[cfg(test)]
mod tests;
