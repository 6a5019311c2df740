//! The client of this project where nothing but TLS is spoken.

use std::sync::Arc;
use std::time::Duration;

use redis::AsyncCommands;
use sentinel_sdk::{Builder, SentinelPool, Tls};
use sentinel_tests::{Authority, Deployment};

use crate::given::SOON;

/// How long a pool tries that is not meant to succeed.
const BRIEFLY: Duration = Duration::from_secs(2);

fn builder(deployment: &Deployment) -> Builder {
    let seeds = deployment.sentinels().iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port()));
    seeds.fold(SentinelPool::builder().master("mymaster"), |builder, seed| builder.sentinel(&seed).expect("an address"))
}

fn url(deployment: &Deployment, options: &str) -> String {
    let seeds: Vec<_> =
        deployment.sentinels().iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port())).collect();
    format!("rediss-sentinel://{}?master=mymaster&{options}", seeds.join(","))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_goes_on_after_the_death_of_an_encrypted_master() {
    // Given an application with a certificate of its own, which servers and Sentinels demand
    let authority = Arc::new(Authority::new("all"));
    let application = authority.issue("application");
    let deployment = tokio::task::block_in_place(|| Deployment::of_ours(3).encrypted_by(&authority).start());
    let old = deployment.only_group().master();
    let options = format!(
        "tls_ca_file={}&tls_cert_file={}&tls_key_file={}",
        authority.certificate().display(),
        application.certificate.display(),
        application.key.display()
    );
    let pool = SentinelPool::from_url(&url(&deployment, &options)).await.expect("a pool");
    let mut master = pool.master();
    let () = master.set("before", 1).await.expect("a write");

    // When the master dies
    old.kill();

    // Then its next writes go to the new one, through the same handle
    let written: redis::RedisResult<()> = tokio::time::timeout(SOON, async {
        loop {
            match master.set("after", 1).await {
                Err(error) if sentinel_sdk::Error::find(&error).is_some() => {}
                outcome => return outcome,
            }
        }
    })
    .await
    .expect("a new master in time");
    written.expect("a write");
    let topology = pool.topology().borrow().clone();
    let now = topology.master.as_ref().expect("a master");
    assert_ne!(now.port(), old.port(), "{topology:?}");
    pool.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_trusted_is_not_talked_to_and_the_error_says_why() {
    let authority = Arc::new(Authority::new("all"));
    let stranger = Authority::new("stranger");
    let own = authority.issue("application");
    let deployment = tokio::task::block_in_place(|| Deployment::of_ours(1).encrypted_by(&authority).start());
    let trusting = |authority: &Authority| {
        let tls = Tls::authority_file(authority.certificate()).expect("an authority");
        tls.with_certificate_files(&own.certificate, &own.key).expect("a certificate")
    };
    let wrong_name = trusting(&authority).with_server_name("elsewhere").expect("a name");
    let brief = {
        let mut timeouts = sentinel_sdk::Timeouts::default();
        timeouts.start = BRIEFLY;
        timeouts
    };

    for (tls, part) in [
        // Not signed by whom we trust
        (Some(trusting(&stranger)), "no trusted authority has signed it"),
        // Signed for somebody else
        (Some(wrong_name.clone()), "with_server_name"),
        // No certificate of our own where one is demanded
        (Some(Tls::authority_file(authority.certificate()).expect("an authority")), "CertificateRequired"),
        // No TLS at all
        (None, "login failed"),
    ] {
        let mut builder = builder(&deployment).timeouts(brief);
        if let Some(tls) = tls {
            builder = builder.tls(tls.clone()).sentinel_tls(tls);
        }
        let error = builder.connect().await.map(drop).expect_err("no pool").to_string();
        assert!(error.contains(part), "{part}: {error}");
    }

    // The name does not matter if we say so
    let tls = wrong_name.with_any_server_name().expect("any name");
    let pool = builder(&deployment).tls(tls.clone()).sentinel_tls(tls).connect().await.expect("a pool");
    let () = pool.master().set("key", 1).await.expect("a write");
    pool.shutdown(Duration::from_secs(5)).await;

    // A client that speaks TLS to a port that does not
    let plain = tokio::task::block_in_place(|| Deployment::of_ours(1).start());
    let tls = trusting(&authority);
    let error = builder(&plain).timeouts(brief).sentinel_tls(tls).connect().await.map(drop).expect_err("no pool");
    assert!(error.to_string().contains("is TLS spoken on this port?"), "{error}");
}
