//! The page for people: files that are part of the program. They hold no data, so they are served without a token; what the
//! page shows it asks for as every other client does.

use std::sync::LazyLock;

use axum::{
    Router,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use sha2::{Digest as _, Sha256};

/// One file of the page.
struct File {
    path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// Every file of the folder `page`, by its path.
macro_rules! files {
    ($($path:literal $file:literal $kind:ident,)*) => {
        &[$(File { path: $path, kind: $kind, bytes: include_bytes!(concat!("../../page/", $file)) },)*]
    };
}

const FILES: &[File] = files! {
    "/" "index.html" HTML,
    "/page/icon.svg" "icon.svg" IMAGE,
    "/page/base.css" "base.css" CSS,
    "/page/style.css" "style.css" CSS,
    "/page/picture.css" "picture.css" CSS,
    "/page/main.js" "main.js" SCRIPT,
    "/page/wire.js" "wire.js" SCRIPT,
    "/page/stream.js" "stream.js" SCRIPT,
    "/page/store.js" "store.js" SCRIPT,
    "/page/sync.js" "sync.js" SCRIPT,
    "/page/dom.js" "dom.js" SCRIPT,
    "/page/words.js" "words.js" SCRIPT,
    "/page/head.js" "head.js" SCRIPT,
    "/page/overview.js" "overview.js" SCRIPT,
    "/page/window.js" "window.js" SCRIPT,
    "/page/master.js" "master.js" SCRIPT,
    "/page/tables.js" "tables.js" SCRIPT,
    "/page/opinions.js" "opinions.js" SCRIPT,
    "/page/picture.js" "picture.js" SCRIPT,
    "/page/timeline.js" "timeline.js" SCRIPT,
    "/page/incident.js" "incident.js" SCRIPT,
    "/page/events.js" "events.js" SCRIPT,
    "/page/process.js" "process.js" SCRIPT,
};

/// Nothing from elsewhere is loaded, and nothing that stands in the text of a page is run.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What each file is known by to those who have it.
static TAGS: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| FILES.iter().map(tag).collect());

fn tag(file: &File) -> HeaderValue {
    let text = format!("\"{}\"", hex::encode(&Sha256::digest(file.bytes)[..16]));
    HeaderValue::try_from(text).expect("hexadecimal digits")
}

pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.iter().zip(TAGS.iter()).fold(Router::new(), |router, (file, tag)| {
        router.route(file.path, get(move |headers: HeaderMap| async move { answer(file, tag, &headers) }))
    })
}

/// The file, or that the client has it already.
fn answer(file: &File, tag: &HeaderValue, headers: &HeaderMap) -> Response {
    let fixed = [
        (header::ETAG, tag.clone()),
        // Another version of the program may answer the next time: the client asks, and is told that nothing has changed.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    if knows(headers, tag) {
        return (StatusCode::NOT_MODIFIED, fixed).into_response();
    }
    (fixed, [(header::CONTENT_TYPE, file.kind)], file.bytes).into_response()
}

/// Whether `If-None-Match` names what would be sent.
fn knows(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let Some(given) = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()) else { return false };
    let mut tags = given.split(',').map(|one| one.trim().trim_start_matches("W/"));
    tags.any(|one| one == "*" || one.as_bytes() == tag.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;

    fn text(file: &File) -> &'static str {
        std::str::from_utf8(file.bytes).expect("text")
    }

    #[test]
    fn every_file_of_the_folder_is_served_and_is_short() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        let names = std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").file_name());
        let there: BTreeSet<_> = names.map(|name| name.into_string().expect("a name")).collect();
        let served = FILES.iter().map(|file| match file.path {
            "/" => "index.html".to_owned(),
            path => path.trim_start_matches("/page/").to_owned(),
        });
        assert_eq!(served.collect::<BTreeSet<_>>(), there);
        for file in FILES {
            let lines = text(file).lines().count();
            assert!(lines <= 300, "{} has {lines} lines: one file does one thing", file.path);
        }
    }

    #[test]
    fn nothing_comes_from_elsewhere_and_nothing_is_run_that_is_no_file() {
        for file in FILES {
            let (path, text) = (file.path, text(file));
            // The names of SVG's and XLink's elements, which nobody fetches.
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for foreign in ["http:", "https:", "url(//", "src=\"//", "href=\"//", "@import", "import("] {
                assert!(!text.contains(foreign), "{path} has {foreign}");
            }
            // What comes from the wire is put in as text, and nothing is evaluated.
            for way in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "srcdoc"]
            {
                assert!(!text.contains(way), "{path} has {way}");
            }
            assert!(!text.contains("setAttribute('style'") && !text.contains("style="), "{path} has an inline style");
            assert!(!text.contains("localStorage") && !text.contains("document.cookie"), "{path} keeps something");
        }
        let index = text(&FILES[0]);
        for tag in index.split('<').filter(|tag| tag.starts_with("script")) {
            assert!(tag.contains(" src=\"page/") && tag.ends_with('>'), "a script that is no file: <{tag}");
        }
        assert!(!index.contains(" on") || !index.contains("onclick"), "a handler in an attribute");
    }

    #[test]
    fn every_module_that_is_asked_for_is_there() {
        let paths: BTreeSet<_> = FILES.iter().map(|file| file.path).collect();
        let mut asked = 0;
        for file in FILES.iter().filter(|file| file.kind == SCRIPT) {
            for line in text(file).lines().filter(|line| line.starts_with("import ") || line.starts_with("} from ")) {
                let Some(name) = line.split("'./").nth(1).and_then(|rest| rest.split('\'').next()) else { continue };
                assert!(paths.contains(format!("/page/{name}").as_str()), "{}: {name}", file.path);
                asked += 1;
            }
        }
        for part in text(&FILES[0]).split("\"page/").skip(1) {
            let name = part.split('"').next().unwrap_or_default();
            assert!(paths.contains(format!("/page/{name}").as_str()), "{name}");
            asked += 1;
        }
        assert!(asked > 20, "{asked}");
    }

    #[test]
    fn who_has_a_file_is_not_sent_it_again() {
        let (file, tag) = (&FILES[0], &TAGS[0]);
        let known = |given: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_str(given).expect("a header"));
            answer(file, tag, &headers).status()
        };
        let tag = tag.to_str().expect("text");
        assert_eq!(known(tag), StatusCode::NOT_MODIFIED);
        assert_eq!(known(&format!("\"x\", W/{tag}")), StatusCode::NOT_MODIFIED);
        assert_eq!(known("\"x\""), StatusCode::OK);
        assert_eq!(answer(file, &TAGS[0], &HeaderMap::new()).status(), StatusCode::OK);
    }
}
