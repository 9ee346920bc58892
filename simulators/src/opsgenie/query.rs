//! The search language of `GET /v2/alerts`, as far as it is simulated: fields joined by `AND`, and parentheses around them.

use super::alert::Alert;

/// All conditions must hold.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<Condition>);

#[derive(Debug)]
enum Condition {
    Status(String),
    Acknowledged(bool),
    Alias(String),
    Tag(String),
    Time { created: bool, order: std::cmp::Ordering, or_equal: bool, at_ms: i64 },
}

impl Query {
    /// Understands `status`, `acknowledged`, `alias` and `tag` with a colon, and `createdAt` and `updatedAt` with
    /// `>`, `>=`, `<`, `<=` and Unix milliseconds. `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return Some(Self::default());
        }
        let mut conditions = Vec::new();
        Self::joined(text, &mut conditions)?.is_empty().then_some(Self(conditions))
    }

    /// Reads what is joined by `AND`; returns the rest. Where all must hold, parentheses change nothing.
    fn joined<'a>(mut text: &'a str, conditions: &mut Vec<Condition>) -> Option<&'a str> {
        loop {
            let rest = match text.strip_prefix('(') {
                Some(inside) => Self::joined(inside.trim_start(), conditions)?.strip_prefix(')')?,
                None => {
                    let (condition, rest) = Condition::parse(text)?;
                    conditions.push(condition);
                    rest
                }
            };
            let rest = rest.trim_start();
            match rest.get(..3).filter(|word| word.eq_ignore_ascii_case("and")) {
                Some(word) => text = rest.strip_prefix(word)?.trim_start(),
                None => return Some(rest),
            }
        }
    }

    pub(super) fn matches(&self, alert: &Alert) -> bool {
        self.0.iter().all(|condition| condition.holds(alert))
    }
}

impl Condition {
    fn parse(text: &str) -> Option<(Self, &str)> {
        let end = text.find(|letter: char| !letter.is_ascii_alphanumeric())?;
        let (field, rest) = text.split_at(end);
        let rest = rest.trim_start();
        let operator = ["<=", ">=", ":", "=", "<", ">"].into_iter().find(|operator| rest.starts_with(operator))?;
        let rest = rest[operator.len()..].trim_start();
        let (value, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => {
                rest.split_at(rest.find(|letter: char| letter.is_whitespace() || letter == ')').unwrap_or(rest.len()))
            }
        };
        let condition = match (field, operator) {
            ("status", ":" | "=") => Self::Status(value.to_ascii_lowercase()),
            ("acknowledged", ":" | "=") => Self::Acknowledged(value.parse().ok()?),
            ("alias", ":" | "=") => Self::Alias(value.to_owned()),
            ("tag", ":" | "=") => Self::Tag(value.to_owned()),
            ("createdAt" | "updatedAt", "<" | "<=" | ">" | ">=") => Self::Time {
                created: field == "createdAt",
                order: if operator.starts_with('<') { std::cmp::Ordering::Less } else { std::cmp::Ordering::Greater },
                or_equal: operator.ends_with('='),
                at_ms: value.parse().ok()?,
            },
            _ => return None,
        };
        Some((condition, after))
    }

    fn holds(&self, alert: &Alert) -> bool {
        match self {
            Self::Status(status) => alert.status.as_str() == status,
            Self::Acknowledged(acknowledged) => alert.acknowledged == *acknowledged,
            Self::Alias(alias) => alert.alias == *alias,
            Self::Tag(tag) => alert.tags.contains(tag),
            Self::Time { created, order, or_equal, at_ms } => {
                let value = if *created { alert.created_at_ms } else { alert.updated_at_ms };
                value.cmp(at_ms) == *order || (*or_equal && value == *at_ms)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_simulated_part_of_the_language_is_understood() {
        let conditions = [
            ("", 0),
            ("status: open", 1),
            ("status:open AND acknowledged: false and alias: \"a b\"", 3),
            ("updatedAt >= 5", 1),
            ("(tag: a) AND status: open", 2),
            ("( tag: a AND (status: open ) )", 2),
        ];
        for (text, count) in conditions {
            assert_eq!(Query::parse(text).map(|query| query.0.len()), Some(count), "{text}");
        }
        for text in [
            "status",
            "owner: me",
            "NOT status: open",
            "status: open OR tag: a",
            "createdAt: 5",
            "tag: a b",
            "(tag: a",
            "tag: a)",
            "()",
            "tag: a AND",
        ] {
            assert!(Query::parse(text).is_none(), "{text}");
        }
    }
}
