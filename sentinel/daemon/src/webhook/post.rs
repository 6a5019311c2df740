//! One attempt to post one event.

use std::{
    error::Error as _,
    io,
    pin::pin,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use hmac::{Hmac, Mac as _};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use sentinel_core::types::Secret;
use sha2::Sha256;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, pki_types::ServerName},
};

use crate::{
    config::{self, WebhookUrl},
    tls::{self, Failure, Side, TlsError},
};

/// Who takes events.
pub(super) struct Target {
    url: WebhookUrl,
    secret: Option<Secret>,
    tls: Option<Arc<ClientConfig>>,
}

/// What became of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The answer was 2xx.
    Taken,
    /// It may go better after a while.
    Later(String),
    /// It will not.
    Never(String),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Target {
    pub(super) fn of(settings: &config::Webhook) -> Result<Option<Self>, TlsError> {
        let Some(url) = settings.url.clone() else { return Ok(None) };
        let tls = url.tls.then(|| tls::of_webhook(settings.ca_cert_file.as_deref())).transpose()?;
        Ok(Some(Target { url, secret: settings.secret.clone(), tls }))
    }

    pub(super) const fn url(&self) -> &WebhookUrl {
        &self.url
    }

    pub(super) async fn post(&self, id: &str, body: &str) -> Outcome {
        match self.try_post(id, body).await {
            Ok(status) if status.is_success() => Outcome::Taken,
            Ok(status) => {
                let why = format!("the answer is {status}");
                let later = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
                if status.is_server_error() || later.contains(&status) {
                    Outcome::Later(why)
                } else {
                    Outcome::Never(why)
                }
            }
            Err(error) => Outcome::Later(error.to_string()),
        }
    }

    async fn try_post(&self, id: &str, body: &str) -> io::Result<StatusCode> {
        let request = self.request(id, body, SystemTime::now()).map_err(io::Error::other)?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(self.connect().await?)).await.map_err(io::Error::other)?;
        let mut answer = pin!(sender.send_request(request));
        let ended = tokio::select! {
            biased;
            // What it says besides the status is not read.
            answer = &mut answer => return answer.map(|it| it.status()).map_err(|error| explained(&error)),
            ended = connection => ended,
        };
        // The answer may have come with the end.
        match (answer.await, ended) {
            (Ok(answer), _) => Ok(answer.status()),
            (Err(error), _) if !error.is_canceled() => Err(explained(&error)),
            (Err(_), Err(error)) => Err(explained(&error)),
            (Err(_), Ok(())) => Err(io::Error::other("the connection was closed without an answer")),
        }
    }

    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect((self.url.host.as_str(), self.url.port)).await?;
        let Some(config) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(self.url.host.clone()).map_err(io::Error::other)?;
        let connected = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
        Ok(Box::new(connected.map_err(|error| match Failure::of_handshake(&error, Side::Asking) {
            Failure::Refused(why) => io::Error::other(format!("TLS: {why}")),
            Failure::Broken(_) => error,
        })?))
    }

    fn request(&self, id: &str, body: &str, now: SystemTime) -> axum::http::Result<Request<Body>> {
        let mut request = Request::post(self.url.path.as_str())
            .header(header::HOST, self.url.authority.as_str())
            .header(header::USER_AGENT, concat!("sentineld/", env!("CARGO_PKG_VERSION")))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "close")
            .header("sentinel-delivery", id);
        if let Some(secret) = &self.secret {
            let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            request = request.header("sentinel-signature", signature(secret, seconds, body));
        }
        request.body(Body::from(body.to_owned()))
    }
}

/// What was wrong with an answer, with its cause.
fn explained(error: &hyper::Error) -> io::Error {
    if error.is_parse() {
        return io::Error::other(format!("what answers there speaks no HTTP: {error}"));
    }
    if error.is_incomplete_message() {
        return io::Error::other("the connection was closed without an answer");
    }
    match error.source() {
        Some(cause) => io::Error::other(format!("{error}: {cause}")),
        None => io::Error::other(error.to_string()),
    }
}

/// `t=<seconds since 1970>,v1=<HMAC-SHA256 in hex of "<seconds>.<body>">`: with the time in it an old one cannot be told
/// for new.
fn signature(secret: &Secret, seconds: u64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret.bytes()).expect("a key of any length is one");
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body.as_bytes());
    format!("t={seconds},v1={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_signature_is_over_time_and_body() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac key
        let expected = "t=1700000000,v1=a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03";
        assert_eq!(signature(&Secret::new("key"), 1_700_000_000, "{\"a\":1}"), expected);
    }

    #[test]
    fn a_request_names_event_host_and_type() {
        let url = "https://hooks.example:8443/a?b=c".parse::<axum::http::Uri>().unwrap();
        let target = Target {
            url: WebhookUrl {
                tls: false,
                host: "hooks.example".to_owned(),
                port: 8443,
                authority: "hooks.example:8443".to_owned(),
                path: url.path_and_query().unwrap().to_string(),
            },
            secret: None,
            tls: None,
        };
        let now = UNIX_EPOCH + Duration::from_secs(7);
        let request = target.request("01234567-9", "{}", now).unwrap();
        let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("POST", "/a?b=c"));
        assert_eq!((header("host"), header("sentinel-delivery")), (Some("hooks.example:8443"), Some("01234567-9")));
        assert_eq!((header("content-type"), header("sentinel-signature")), (Some("application/json"), None));
    }
}
