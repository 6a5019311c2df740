//! The HTTP endpoint.

use std::{cell::OnceCell, time::Duration};

use sentinel_rig::Rig;
use sentineld::http::Trial;

/// The longest answer that is read. The page's largest file and the `OpenAPI` document are shorter.
const MOST: u64 = 1 << 20;

/// No answer waits for anything outside of this process.
const SOON: Duration = Duration::from_millis(3);

thread_local! {
    /// With a token, and without.
    static ENDPOINTS: OnceCell<[Trial; 2]> = const { OnceCell::new() };
}

/// The first byte says whether a token is set; the rest is what a client sends.
///
/// Each answer is one of HTTP or none; nothing is told without the token; and what a client sends is never this program's
/// own fault (500).
pub fn http(data: &[u8]) {
    let Some((how, bytes)) = data.split_first() else { return };
    let with_token = how & 1 == 1;
    let answer = ENDPOINTS.with(|endpoints| {
        let [open, guarded] = endpoints.get_or_init(|| {
            let view = Rig::settled().view().expect("an engine has something to show");
            let trial =
                |token| Trial::new(std::sync::Arc::clone(&view), token).expect("there are resources for a runtime");
            [trial(None), trial(Some("token"))]
        });
        if with_token { guarded } else { open }.answer(bytes, MOST, SOON)
    });
    let text = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || text.starts_with("HTTP/1."), "this is no answer: {text:.200}");
    for (at, _) in text.match_indices("HTTP/1.1 5") {
        let status = text.get(at + 9..at + 12);
        assert!(at > 0 || matches!(status, Some("501" | "503" | "504")), "{status:?}: {text:.400}");
    }
    let knows = String::from_utf8_lossy(bytes).to_ascii_lowercase().contains("bearer token");
    assert!(!with_token || knows || !text.contains("current_epoch"), "told without the token: {text:.400}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_properly_is_answered() {
        let endpoint = Trial::new(Rig::settled().view().expect("a view"), Some("token")).expect("a runtime");
        let ask = |path: &str, token: &str, within: Duration| {
            let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n{token}connection: close\r\n\r\n");
            String::from_utf8_lossy(&endpoint.answer(request.as_bytes(), MOST, within)).into_owned()
        };
        let token = "authorization: Bearer token\r\n";
        let patience = Duration::from_secs(10);
        assert!(ask("/", "", patience).starts_with("HTTP/1.1 200"), "the page is for everybody");
        assert!(ask("/metrics", "", patience).starts_with("HTTP/1.1 401"));
        let metrics = ask("/metrics", token, patience);
        assert!(metrics.starts_with("HTTP/1.1 200") && metrics.contains("\nredis_sentinel_masters 1"), "{metrics}");
        let events = ask("/v1/events", token, Duration::from_millis(500));
        assert!(events.starts_with("HTTP/1.1 200"), "{events}");
    }
}
