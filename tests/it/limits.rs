//! Where the doors' limits are: too much, too slow, and no room to keep it.

use std::time::Duration;

use crosspage::clock::now;
use crosspage::engine::Policy;
use crosspage::metrics::Metrics;
use crosspage::opsgenie::webhook::Door;
use crosspage::server::{self, Doors, MAX_BODY, Patience};
use crosspage::store::backend::Backend;
use crosspage::store::memory::MemoryBackend;
use crosspage::store::{Settings, Store};

use crate::harness::{LOOK_EVERY, TOO_LONG};
use crate::post::{Answer, Raw, SIGNATURE, ask, from_opsgenie, from_pagerduty, post, sign};

const INTEGRATION: &str = "00000000-0000-4000-8000-000000000000";
const SECRET: &str = "secret";

/// The doors alone, over a store in memory.
struct House {
    store: Store,
    memory: MemoryBackend,
    base: String,
}

impl House {
    async fn open() -> Self {
        Self::with(MemoryBackend::default(), Patience::default())
    }

    fn with(memory: MemoryBackend, patience: Patience) -> Self {
        Self::guarded(memory, patience, None)
    }

    fn guarded(memory: MemoryBackend, patience: Patience, token: Option<&str>) -> Self {
        let policy = Policy { retention: Duration::from_secs(30 * 24 * 3600), ..Policy::default() };
        let store = Store::on(Backend::Memory(memory.clone()), Settings::new(policy), now()).unwrap();
        let (listener, address) = server::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let doors = Doors {
            store: store.clone(),
            opsgenie: Door::new(&[INTEGRATION], token.map(Into::into)),
            pagerduty_secrets: vec![SECRET.into()],
            patience,
            emergency: tokio::sync::watch::channel(crosspage::emergency::Status::default()).1,
            metrics: Metrics::default(),
        };
        tokio::spawn(server::serve(listener, doors).unwrap());
        Self { store, memory, base: format!("http://{address}") }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    /// A webhook at each door that there is something to store of: of Opsgenie's, readable and not, then of PagerDuty's.
    async fn knock_at_both(&self, id: &str) -> [Answer; 4] {
        let knock = async |body: String| post(&self.url("ops-webhook"), &[], body).await;
        let signed = async |body: String| {
            let signature = sign(SECRET, &body);
            post(&self.url("pd-webhook"), &[(SIGNATURE, &signature)], body).await
        };
        [
            knock(from_opsgenie(INTEGRATION, "Create", id).to_string()).await,
            knock(from_opsgenie(INTEGRATION, "Create", "../x").to_string()).await,
            signed(from_pagerduty(id, "incident.acknowledged", id).to_string()).await,
            signed(from_pagerduty(id, "incident.acknowledged", "../x").to_string()).await,
        ]
    }

    async fn check_told_to_come_again(&self, id: &str) {
        for answer in self.knock_at_both(id).await {
            assert_eq!(answer.status, 503, "{answer:?}");
            let after = answer.retry_after.as_deref().and_then(|seconds| seconds.parse::<u32>().ok());
            assert!(after.is_some_and(|seconds| seconds > 0), "{answer:?}");
        }
    }

    async fn until_taken(&self) {
        until("a webhook is taken", async || {
            post(&self.url("ops-webhook"), &[], from_opsgenie(INTEGRATION, "Create", "knock").to_string()).await.status
                < 300
        })
        .await;
    }
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !is_so().await {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(TOO_LONG, looking).await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_refused_before_the_body_is_read() {
    let patience = Patience { body: TOO_LONG * 2, ..Patience::default() };
    let house = House::guarded(MemoryBackend::default(), patience, Some("token"));
    for headers in ["", "Authorization: Bearer wrong\r\n"] {
        for body in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
            let raw = Raw::begin(&house.url("ops-webhook"), &format!("{headers}{body}\r\n\r\n"));
            assert_eq!(raw.until_closed().0, 401, "{headers} {body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_announced_as_too_large_is_refused_unread() {
    let house = House::open().await;
    for path in ["ops-webhook", "pd-webhook"] {
        let raw = Raw::begin(&house.url(path), &format!("Content-Length: {}\r\n\r\n", MAX_BODY + 1));
        assert_eq!(raw.until_closed().0, 413, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_turns_out_to_be_too_large_is_refused() {
    let house = House::open().await;
    for path in ["ops-webhook", "pd-webhook"] {
        let mut raw = Raw::begin(&house.url(path), "Transfer-Encoding: chunked\r\n\r\n");
        raw.send(format!("{:x}\r\n", MAX_BODY + 1).as_bytes());
        raw.send(&vec![b' '; MAX_BODY + 1]);
        assert_eq!(raw.until_closed().0, 413, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_body_that_may_be_is_taken() {
    let house = House::open().await;
    let mut body = from_opsgenie(INTEGRATION, "Create", "large").to_string();
    body.push_str(&" ".repeat(MAX_BODY - body.len()));
    assert_eq!(post(&house.url("ops-webhook"), &[], body.clone()).await.status, 202);
    body.push(' ');
    assert_eq!(post(&house.url("ops-webhook"), &[], body).await.status, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_disk_is_nearly_full_webhooks_are_left_to_come_again() {
    let memory = MemoryBackend::default();
    memory.set_free_bytes(1);
    let house = House::with(memory, Patience::default());
    house.check_told_to_come_again("low").await;
    let ready = ask("GET", &house.url("readyz")).await;
    assert_eq!(ready.status, 503);
    assert!(ready.body["reason"].as_str().unwrap().contains("disk"), "{ready:?}");
    assert_eq!(ask("GET", &house.url("healthz")).await.status, 200, "a restart would not help");
    assert_eq!(house.store.quarantined_after(0, 9).await.unwrap(), []);

    house.memory.set_free_bytes(u64::MAX);
    house.until_taken().await;
    assert_eq!(ask("GET", &house.url("readyz")).await.status, 200);
    assert_eq!(house.knock_at_both("again").await.map(|answer| answer.status), [202, 202, 200, 202]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_could_not_be_synced_was_not_taken_and_the_failure_shows() {
    let house = House::open().await;
    for path in ["healthz", "readyz"] {
        assert_eq!(ask("GET", &house.url(path)).await.status, 200, "{path}");
    }
    house.memory.fail_next_sync();
    house.check_told_to_come_again("first").await;
    for path in ["healthz", "readyz"] {
        let answer = ask("GET", &house.url(path)).await;
        assert_eq!(answer.status, 503, "{path}");
        assert_eq!(answer.body["reason"], "the store has failed", "{answer:?}");
    }
    // Nothing is taken any more, also not what could be: the process is about to end.
    house.check_told_to_come_again("second").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_store_closed_webhooks_are_left_to_come_again() {
    let house = House::open().await;
    house.store.clone().close().await.unwrap();
    house.check_told_to_come_again("late").await;
    assert_eq!(ask("GET", &house.url("readyz")).await.status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_comes_is_not_waited_for_for_ever() {
    let patience = Patience { body: Duration::from_millis(50), ..Patience::default() };
    let house = House::with(MemoryBackend::default(), patience);
    for path in ["ops-webhook", "pd-webhook"] {
        let mut raw = Raw::begin(&house.url(path), "Content-Length: 100\r\n\r\n");
        raw.send(b"{");
        let (status, text) = raw.until_closed();
        assert_eq!(status, 503, "{path}");
        assert!(text.to_lowercase().contains("retry-after: "), "{text}");
    }
    house.until_taken().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_keeps_a_connection_by_a_body_in_chunks_that_never_ends() {
    let patience = Patience { body: Duration::from_millis(50), ..Patience::default() };
    let house = House::with(MemoryBackend::default(), patience);
    for (path, wanted) in [("ops-webhook", 503), ("pd-webhook", 503), ("healthz", 405), ("elsewhere", 404)] {
        let mut raw = Raw::begin(&house.url(path), "Transfer-Encoding: chunked\r\n\r\n");
        raw.send(b"1\r\n{\r\n");
        assert_eq!(raw.until_closed().0, wanted, "{path}");
    }
    let headers = "Transfer-Encoding: chunked\r\n\r\n";
    for (method, path, wanted) in [("GET", "healthz", 200), ("GET", "readyz", 200), ("PUT", "pd-webhook", 405)] {
        assert_eq!(Raw::begin_as(method, &house.url(path), headers).until_closed().0, wanted, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_never_end_are_not_waited_for_for_ever() {
    let patience = Patience { head: Duration::from_millis(50), ..Patience::default() };
    let house = House::with(MemoryBackend::default(), patience);
    assert_eq!(Raw::begin(&house.url("ops-webhook"), "X-Slow: ").until_closed().0, 408);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_cannot_fill_the_memory_and_what_they_took_is_given_back() {
    let house = House::with(MemoryBackend::default(), Patience { body: TOO_LONG * 2, ..Patience::default() });
    let almost = vec![b' '; MAX_BODY - 1];
    let mut visitors = Vec::new();
    until("the memory is full", async || {
        // Many that come at once may all be turned away for want of room, and leave room again: so each look brings one more.
        let mut raw = Raw::begin(&house.url("pd-webhook"), &format!("Content-Length: {MAX_BODY}\r\n\r\n"));
        raw.send(&almost);
        visitors.push(raw);
        let answer = post(&house.url("ops-webhook"), &[], from_opsgenie(INTEGRATION, "Create", "x").to_string()).await;
        let busy = answer.status == 503;
        assert!(!busy || answer.retry_after.is_some(), "{answer:?}");
        busy
    })
    .await;
    drop(visitors);
    house.until_taken().await;
}
