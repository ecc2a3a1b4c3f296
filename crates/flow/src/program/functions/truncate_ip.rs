//! `truncate_ip(ip)`: the network an address lies in: /24 of IPv4, /48 of IPv6. Anything that is no address gives
//! null, so that a raw value never slips through.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vrl::compiler::prelude::*;

use super::Own;

const PARAMETERS: &[Parameter] = &[Parameter::required("value", kind::ANY, "The address.")];

pub(super) const TRUNCATE_IP: Own = Own {
    name: "truncate_ip",
    usage: "The network an address lies in, /24 of IPv4 and /48 of IPv6: `203.0.113.9` gives `203.0.113.0`.",
    category: &Category::Ip,
    returns: kind::BYTES | kind::NULL,
    pure: true,
    parameters: PARAMETERS,
    compile,
};

fn compile(_: &state::TypeState, _: &mut FunctionCompileContext, arguments: ArgumentList) -> Compiled {
    Ok(TruncateIpFn { value: arguments.required("value") }.as_expr())
}

#[derive(Clone, Debug)]
struct TruncateIpFn {
    value: Box<dyn Expression>,
}

impl FunctionExpression for TruncateIpFn {
    fn resolve(&self, ctx: &mut Context) -> Resolved {
        Ok(truncate_ip(&self.value.resolve(ctx)?))
    }

    fn type_def(&self, state: &state::TypeState) -> TypeDef {
        TypeDef::bytes().or_null().maybe_fallible(self.value.type_def(state).is_fallible())
    }
}

/// The network of an address as a text; null for anything that is no address.
pub(in crate::program) fn truncate_ip(value: &Value) -> Value {
    value.to_str().and_then(truncate).map_or(Value::Null, Value::from)
}

/// The network of an address; an IPv4 address inside an IPv6 one counts as IPv4.
pub(super) fn truncate(text: &str) -> Option<String> {
    Some(match text.trim().parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            Ipv4Addr::new(a, b, c, 0).to_string()
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).to_string()
        }
    })
}
