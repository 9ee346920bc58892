//! The search language of `GET /v2/alerts`, as far as it is simulated: fields joined by `AND`.

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
        let mut rest = text.trim();
        let mut conditions = Vec::new();
        while !rest.is_empty() {
            if !conditions.is_empty() {
                let word = rest.get(..3).filter(|word| word.eq_ignore_ascii_case("and"))?;
                rest = rest.strip_prefix(word)?.trim_start();
            }
            let (condition, after) = Condition::parse(rest)?;
            conditions.push(condition);
            rest = after.trim_start();
        }
        Some(Self(conditions))
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
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
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
        for text in ["", "status: open", "status:open AND acknowledged: false and alias: \"a b\"", "updatedAt >= 5"] {
            assert!(Query::parse(text).is_some(), "{text}");
        }
        for text in ["status", "owner: me", "NOT status: open", "status: open OR tag: a", "createdAt: 5", "tag: a b"] {
            assert!(Query::parse(text).is_none(), "{text}");
        }
    }
}
