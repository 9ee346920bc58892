//! Which link is meant by what an operator has at hand.

use super::OperatorError;
use crate::engine::{AlertId, IncidentId, Link};
use crate::store::{Store, StoreError};

/// How many links are looked through at once: the store has other things to do in between.
const AT_ONCE: usize = 250;

/// The links that `text` may mean, at most `limit`.
pub(super) async fn links(store: &Store, text: &str, limit: usize) -> Result<Vec<Link>, StoreError> {
    let text = text.trim();
    let named = by_id(store, text).await?;
    if !named.is_empty() || text.is_empty() {
        return Ok(named);
    }
    let (wanted, number) = (text.to_lowercase(), text.trim_start_matches('#'));
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let links = store.links_after(after, AT_ONCE).await?;
        let more = links.len() == AT_ONCE;
        after = links.last().map(|link| link.alert.clone());
        let fits = |link: &Link| {
            let message = link.facts.message.as_deref().unwrap_or_default().to_lowercase();
            let of_incident = link.incident_number.map(|number| number.to_string());
            link.facts.tiny_id.as_deref() == Some(number)
                || of_incident.as_deref() == Some(number)
                || message.contains(&wanted)
        };
        found.extend(links.into_iter().filter(fits));
        if !more || found.len() >= limit {
            found.truncate(limit);
            return Ok(found);
        }
    }
}

/// The one alert that `id` means. It need not have a link: why it has none may be known.
pub(super) async fn alert(store: &Store, id: &str) -> Result<AlertId, OperatorError> {
    let mut found = links(store, id, 2).await?;
    match (found.pop(), found.is_empty()) {
        (Some(link), true) => Ok(link.alert),
        (Some(link), false) => {
            let other = &found[0].alert;
            let text = format!("{id:?} may mean several alerts, such as {other} and {}: give an id", link.alert);
            Err(OperatorError::Unclear(text))
        }
        (None, _) => AlertId::try_from(id.trim()).map_err(|_| OperatorError::NotThere(unheard_of(id))),
    }
}

/// What is said of what crosspage does not know.
pub(super) fn unheard_of(id: &str) -> String {
    format!(
        "crosspage has not heard of {id:?}, or has forgotten it. No webhook that it could read has told of such an alert, and no \
         link has such an incident: look at the webhook's filter in Opsgenie and at `crosspage quarantine list`. Incidents that \
         crosspage did not create are not mirrored"
    )
}

async fn by_id(store: &Store, text: &str) -> Result<Vec<Link>, StoreError> {
    if let Ok(alert) = AlertId::try_from(text)
        && let Some(link) = store.link(&alert).await?
    {
        return Ok(vec![link]);
    }
    match IncidentId::try_from(text) {
        Ok(incident) => store.links_of(&incident).await,
        Err(_) => Ok(Vec::new()),
    }
}
