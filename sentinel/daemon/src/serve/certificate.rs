//! A client whose certificate says what user it is (`tls-auth-clients-user`).

use tokio::{net::TcpStream, time::Instant};

use super::{Server, acl::Reason, client::Client, client::REDACTED};
use crate::{config::UserField, tls};

/// Makes a connection that of the user whom the certificate names, without a password, as Valkey 9.1 does. With nobody of
/// that name, or a user that is off, it stays what every connection is.
pub(super) fn log_in(server: &Server, client: &Client, stream: &tls::Stream<TcpStream>, field: UserField) {
    let names = stream.names(field);
    let user = names.iter().find_map(|name| server.users.find(name).filter(|user| user.rules().is_enabled()));
    let hidden = server.settings.hide_user_data == Some(true);
    if let Some(user) = user {
        let name = if hidden { REDACTED.into() } else { user.display_name() };
        tracing::debug!("TLS: Auto-authenticated client as {name}");
        client.update(|state| state.user = Some(user));
        return;
    }
    match (field, names.last()) {
        (UserField::CommonName, Some(name)) => {
            let shown = if hidden { REDACTED.to_owned() } else { format!("\"{}\"", name.escape_ascii()) };
            tracing::debug!("TLS: No matching user found for certificate CN {shown}");
        }
        // One without a name, or no certificate at all.
        (UserField::CommonName, None) => {}
        (UserField::Uri, _) => tracing::debug!("TLS: No matching user found in certificate SAN URI fields"),
    }
    if let Some(name) = names.last() {
        server.users.log.borrow_mut().note(Instant::now(), Reason::Certificate, b"", name, client.line());
    }
}
