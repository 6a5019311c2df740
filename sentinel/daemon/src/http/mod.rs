//! The HTTP endpoint: metrics, health, JSON and server-sent events, for monitoring and for people.
//!
//! It has a thread and a runtime of its own, so that no scrape delays a PING or a client of the Redis port. What it
//! tells comes from the published [`View`], as the answers of that port do; events come from the monitor in their
//! order. What is changed through it, where a token is set, goes the way of that port's commands.

mod answers;
mod api;
mod change;
pub(crate) mod connection;
mod counts;
mod health;
mod journal;
mod lag;
mod metrics;
mod model;
mod openapi;
mod page;
mod probe;
mod stream;
mod token;
mod trial;

use std::{
    future::{Ready, ready},
    io,
    net::TcpListener,
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::{
    Router,
    extract::FromRef,
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use sentinel_core::{
    ClientId, View,
    command::{Change, Command, SUBCOMMANDS},
    time::Now,
};
use sentinel_resp::Reply;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use self::{connection::HttpListener, counts::Counts, journal::Journal, token::Token};
use crate::{
    config,
    meters::Meters,
    monitor::{Clock, Happened, Resolver},
    scripts,
    serve::{self, Ask},
    tls::Tls,
};

pub(crate) use journal::{Numbered, event_as_json};
pub use metrics::{Kind, Metric, TABLE};
pub use trial::Trial;

/// How long the engine may take for an answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// How long the engine may take for what is changed, which waits for the disk.
const DONE_WITHIN: Duration = Duration::from_secs(10);

/// How many may read events at the same time.
const READERS: usize = 64;

/// What the endpoint needs to start.
pub struct Setup {
    /// Sockets that listen.
    pub sockets: Vec<TcpListener>,
    /// The configuration of the process.
    pub settings: config::Server,
    /// Certificates.
    pub tls: Arc<Tls>,
    /// What is known.
    pub view: Arc<ArcSwap<View>>,
    /// Takes questions to the engine.
    pub asks: mpsc::Sender<Ask>,
    /// Brings what happens, in order.
    pub happened: mpsc::UnboundedReceiver<Happened>,
    /// The clock that the moments in the view were read from.
    pub clock: Clock,
    /// What is counted.
    pub meters: Arc<Meters>,
    /// This run of the process.
    pub run_id: String,
    /// Reads the configuration again, and says what became of it.
    pub reload: Reload,
}

/// Reads the configuration again, and says what became of it.
pub type Reload = Box<dyn Fn() -> BoxFuture<'static, Reply> + Send + Sync>;

/// What all requests share.
pub(crate) struct Shared {
    view: Arc<ArcSwap<View>>,
    asks: mpsc::Sender<Ask>,
    clock: Clock,
    meters: Arc<Meters>,
    tls: Arc<Tls>,
    counts: Counts,
    journal: Journal,
    readers: Arc<Semaphore>,
    resolver: Resolver,
    lookups: Semaphore,
    reload: Reload,
    /// Whether something can be changed: a token is set.
    changes: bool,
}

impl Shared {
    fn now(&self) -> Now {
        self.clock.now()
    }

    /// What the engine answers to a command that changes nothing. None: it does not answer.
    async fn ask(&self, words: &[&str]) -> Option<Reply> {
        let words: Vec<_> =
            words.iter().map(|word| sentinel_resp::text::into_bytes((*word).to_owned()).into()).collect();
        let change = match Command::parse(&words) {
            Ok(Command::Change(change)) => change,
            Ok(Command::Query(query)) => return Some(query.answer(&self.view.load(), self.now())),
            // That is an order.
            Ok(Command::Reload) => return None,
            Err(error) => return Some(error),
        };
        let (reply, answer) = oneshot::channel();
        // The engine has a name of its own for everybody who asks.
        let ask = Ask { client: ClientId(0), change, reply };
        let answered = async {
            self.asks.send(ask).await.ok()?;
            answer.await.ok()
        };
        tokio::time::timeout(ANSWERED_WITHIN, answered).await.ok().flatten()
    }

    /// What comes of a subcommand of SENTINEL, which may change something. With a wrong word nothing is changed. None:
    /// it is not answered in time.
    async fn order(&self, words: &[Bytes]) -> Option<Reply> {
        let name = words.first()?;
        let subcommand = SUBCOMMANDS.iter().find(|it| name.eq_ignore_ascii_case(it.word().as_bytes()))?;
        let change = match subcommand.parse(&serve::without_interface(subcommand, &words[1..])) {
            Ok(Command::Change(change)) => change,
            Err(error) => return Some(error),
            Ok(Command::Query(query)) => return Some(query.answer(&self.view.load(), self.now())),
            Ok(Command::Reload) => return tokio::time::timeout(DONE_WITHIN, (self.reload)()).await.ok(),
        };
        let denied = self.view.load().globals.deny_scripts_reconfig;
        let change = if denied { change } else { scripts::refuse_unusable(change).await };
        if let Change::Set { error: Some(error), .. } = change {
            return Some(error);
        }
        let done = serve::order(self.asks.clone(), true, ClientId(0), change);
        tokio::time::timeout(DONE_WITHIN, done).await.ok()
    }
}

/// The state of the router.
#[derive(Clone)]
struct State(Arc<Shared>);

impl FromRef<State> for Arc<Shared> {
    fn from_ref(state: &State) -> Self {
        Arc::clone(&state.0)
    }
}

/// The thread of the endpoint.
#[derive(Debug)]
pub struct Running {
    stop: watch::Sender<()>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Closes all connections, and waits for the thread.
    pub fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::warn!(
                "the HTTP endpoint was ended by a defect of this program: please report what is printed above"
            );
        }
    }
}

/// Serves until told to stop.
///
/// # Errors
///
/// When the system refuses a thread, or the sockets cannot be used.
pub fn start(setup: Setup) -> io::Result<Running> {
    let Setup { sockets, settings, tls, view, asks, happened, clock, meters, run_id, reload } = setup;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let incoming = tls.incoming().filter(|_| settings.tls.http).cloned();
    let listeners = {
        let _runtime = runtime.enter();
        let open = |socket| HttpListener::open(socket, incoming.clone());
        sockets.into_iter().map(open).collect::<io::Result<Vec<_>>>()?
    };
    let shared = Arc::new(Shared {
        view,
        asks,
        clock,
        meters,
        tls,
        counts: Counts::default(),
        journal: Journal::new(&run_id),
        readers: Arc::new(Semaphore::new(READERS)),
        resolver: Resolver::default(),
        lookups: Semaphore::new(probe::LOOKUPS),
        reload,
        changes: settings.http.token.is_some(),
    });
    let router = router(Arc::clone(&shared), settings.http.token.as_ref().map(Token::new));
    for listener in &listeners {
        tracing::info!("HTTP endpoint at {listener}");
    }
    let (stop, stopped) = watch::channel(());
    let thread = std::thread::Builder::new().name("http".to_owned()).spawn(move || {
        runtime.block_on(async {
            let keepalive = settings.tcp_keepalive;
            let serving = connection::serve(listeners, router, keepalive, stopped.clone());
            tokio::select! {
                () = serving => {}
                () = follow(&shared, happened) => {}
                () = ended(stopped) => {}
            }
        });
        runtime.shutdown_background();
    })?;
    Ok(Running { stop, thread })
}

/// Ends when the process stops.
async fn ended(mut stopped: watch::Receiver<()>) {
    // Nothing is sent: the sender is dropped.
    let _ = stopped.changed().await;
}

/// Takes in what happens.
async fn follow(shared: &Shared, mut happened: mpsc::UnboundedReceiver<Happened>) {
    while let Some(it) = happened.recv().await {
        shared.counts.take(&it);
        shared.journal.add(&it);
    }
    // The monitor is gone; the process says when to stop.
    std::future::pending::<()>().await;
}

fn router(shared: Arc<Shared>, token: Option<Token>) -> Router {
    let health = Router::new().route("/livez", get(health::live)).route("/readyz", get(health::ready));
    let mut rest = api::routes()
        .route("/metrics", get(metrics::answer))
        .route("/openapi.json", get(openapi::answer))
        .route("/v1/events", get(stream::answer));
    let wrong_method = if token.is_some() { other_method } else { nothing_to_change };
    if let Some(token) = token {
        rest = rest.merge(change::routes()).layer(middleware::from_fn_with_state(Arc::new(token), token::check));
    }
    health
        .merge(page::routes())
        .merge(rest)
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "there is nothing at this path; see /openapi.json") })
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::map_response(finished))
        .with_state(State(shared))
}

fn other_method() -> Ready<Response> {
    ready(problem(StatusCode::METHOD_NOT_ALLOWED, "this path takes other methods; see /openapi.json"))
}

fn nothing_to_change() -> Ready<Response> {
    ready(problem(StatusCode::NOT_FOUND, "this path is only read: what changes something needs `http-token` to be set"))
}

/// An answer that says what is wrong.
fn problem(status: StatusCode, text: &str) -> Response {
    (status, axum::Json(model::Refusal { error: text.to_owned() })).into_response()
}

/// What was asked for cannot be understood.
fn refused(text: &str) -> Response {
    problem(StatusCode::BAD_REQUEST, text)
}

/// What all answers carry: nothing is kept by caches, shown in frames, or taken for another type.
async fn finished(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    let fixed = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    answer
}
