//! JSON as Python's `json.dumps(value, ensure_ascii=False)` writes it, which is what models were trained on.

use serde_json::{Number, Value};

/// `value` as one line, or over several with `indent` blanks per level.
pub(super) fn to_python_json(value: &Value, indent: Option<usize>) -> String {
    let mut out = String::new();
    write_value(&mut out, value, indent, 0);
    out
}

fn write_value(out: &mut String, value: &Value, indent: Option<usize>, depth: usize) {
    match value {
        Value::Number(number) => out.push_str(&python_number(number)),
        Value::Array(items) => {
            let items = items.iter().map(|item| (None, item));
            write_items(out, ['[', ']'], items, indent, depth);
        }
        Value::Object(map) => {
            let items = map.iter().map(|(key, item)| (Some(key), item));
            write_items(out, ['{', '}'], items, indent, depth);
        }
        // Strings are escaped alike by serde_json and Python: quotes, backslashes and control characters only.
        scalar => out.push_str(&scalar.to_string()),
    }
}

fn write_items<'v>(
    out: &mut String,
    brackets: [char; 2],
    items: impl Iterator<Item = (Option<&'v String>, &'v Value)>,
    indent: Option<usize>,
    depth: usize,
) {
    let new_line = |out: &mut String, depth: usize| {
        if let Some(indent) = indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent.saturating_mul(depth)));
        }
    };
    out.push(brackets[0]);
    let mut empty = true;
    for (key, item) in items {
        if !empty {
            out.push_str(if indent.is_some() { "," } else { ", " });
        }
        empty = false;
        new_line(out, depth + 1);
        if let Some(key) = key {
            out.push_str(&Value::from(key.as_str()).to_string());
            out.push_str(": ");
        }
        write_value(out, item, indent, depth + 1);
    }
    if !empty {
        new_line(out, depth);
    }
    out.push(brackets[1]);
}

fn python_number(number: &Number) -> String {
    match number.as_f64().filter(|_| number.is_f64()) {
        Some(float) => python_float(float),
        None => number.to_string(),
    }
}

/// `repr(float)`: the shortest digits, with an exponent outside 1e-4 ≤ |x| < 1e16.
fn python_float(float: f64) -> String {
    let size = float.abs();
    if float == 0.0 || (1e-4..1e16).contains(&size) {
        return format!("{float:?}");
    }
    let text = format!("{float:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(exponent) => ('-', exponent),
                None => ('+', exponent),
            };
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn writes_what_python_writes() {
        let value =
            json!({"z": [1, -2.5, 1.0, true, null], "a": {"é<b>&'\"\\/": "\n\t\u{1}\u{7f}世"}, "e": [], "o": {}});
        assert_eq!(
            to_python_json(&value, None),
            "{\"z\": [1, -2.5, 1.0, true, null], \"a\": {\"é<b>&'\\\"\\\\/\": \"\\n\\t\\u0001\u{7f}世\"}, \"e\": [], \"o\": {}}"
        );
        assert_eq!(
            to_python_json(&json!({"a": [1, {}], "b": []}), Some(2)),
            "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}"
        );
    }

    #[test]
    fn writes_floats_as_python_does() {
        for (float, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (1e22, "1e+22"),
            (5e-324, "5e-324"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (-2e-10, "-2e-10"),
        ] {
            assert_eq!(python_float(float), text);
        }
    }
}
