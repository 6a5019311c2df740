//! Events as they happen, as server-sent events.
//!
//! A reader costs a number: how far it is in the journal. One that does not read in time misses what is not kept any more,
//! and is told how much that was; nobody waits for it.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse as _, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::{Stream, StreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::{
    Shared,
    journal::{Entry, Start},
    problem,
};

/// How often something is sent although nothing happens, so that both sides notice a connection that is gone.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// After how long a client that lost its connection comes back.
const RETRY: Duration = Duration::from_secs(1);

/// What a reader asks for.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Events of this master only.
    master: Option<String>,
    /// As the header `Last-Event-ID`, for clients that cannot set it.
    last_event_id: Option<String>,
}

/// Events as they happen. With `Last-Event-ID` those come first that were missed, as far as they are kept: the last 2,048. What
/// is not kept is told by an event `gap`, with how many they were, or null after a restart.
#[utoipa::path(
    get, path = "/v1/events", tag = "events",
    params(Wanted, ("Last-Event-ID" = Option<String>, Header, description = "the id of the last event that was received")),
    responses(
        (status = 200, description = "a stream of events", body = super::model::Event, content_type = "text/event-stream"),
        (status = 401, body = super::model::Refusal),
        (status = 503, description = "too many readers", body = super::model::Refusal),
    ),
)]
pub(super) async fn answer(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Response {
    let Ok(place) = Arc::clone(&shared.readers).try_acquire_owned() else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "too many read events already");
    };
    let header = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let start = shared.journal.start(header.or(wanted.last_event_id.as_deref()));
    let reader = Reader::new(shared, wanted.master, start, place);
    let hello = Event::default().retry(RETRY).comment("events of a Sentinel");
    let events = stream::once(async { hello }).chain(reader.events()).map(Ok::<_, Infallible>);
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response()
}

struct Reader {
    shared: Arc<Shared>,
    newest: watch::Receiver<u64>,
    master: Option<String>,
    /// The last number that was looked at.
    at: u64,
    /// What was numbered by another run is gone.
    anew: bool,
    ready: VecDeque<Arc<Entry>>,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    fn new(shared: Arc<Shared>, master: Option<String>, start: Start, place: OwnedSemaphorePermit) -> Self {
        let newest = shared.journal.newest();
        let (at, anew) = match start {
            Start::After(number) => (number, false),
            Start::Anew => (0, true),
        };
        Reader { shared, newest, master, at, anew, ready: VecDeque::new(), _place: place }
    }

    fn events(self) -> impl Stream<Item = Event> {
        stream::unfold(self, |mut reader| async move { reader.next().await.map(|event| (event, reader)) })
    }

    async fn next(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.anew) {
            self.at = self.shared.journal.before_all();
            return Some(gap(None));
        }
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Some(self.shown(&entry));
            }
            // Before the look, so that nothing is missed between it and the wait.
            self.newest.borrow_and_update();
            let batch = self.shared.journal.after(self.at);
            if batch.missed > 0 {
                self.at += batch.missed;
                return Some(gap(Some(batch.missed)));
            }
            match batch.entries.last() {
                Some(last) => self.at = last.number,
                None => self.newest.changed().await.ok()?,
            }
            let is_wanted = |entry: &Arc<Entry>| self.master.is_none() || self.master == entry.master;
            self.ready.extend(batch.entries.into_iter().filter(is_wanted));
        }
    }

    fn shown(&self, entry: &Entry) -> Event {
        Event::default().id(self.shared.journal.id(entry.number)).event(entry.channel).data(&entry.json)
    }
}

/// Says that events are missing.
fn gap(missed: Option<u64>) -> Event {
    let missed = missed.map_or_else(|| "null".to_owned(), |missed| missed.to_string());
    Event::default().event("gap").data(format!("{{\"missed\":{missed}}}"))
}
