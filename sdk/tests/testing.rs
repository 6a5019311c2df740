//! A deployment inside the program.

use std::time::Duration;

use redis::{AsyncCommands, Value};
use sentinel_sdk::testing::{Answer, TestDeployment};
use sentinel_sdk::{Error, Outcome};

#[tokio::test]
async fn an_application_is_taken_through_what_can_happen() {
    let deployment = TestDeployment::start().await.unwrap();
    let pool = deployment.pool().await.unwrap();
    let mut master = pool.master();
    let () = master.set("k", "v").await.unwrap();
    assert_eq!(deployment.value("k").as_deref(), Some("v"));
    let (n, k): (u64, String) = redis::pipe().atomic().incr("n", 5).get("k").query_async(&mut master).await.unwrap();
    assert_eq!((n, k.as_str()), (5, "v"));
    assert_eq!(pool.replica().get::<_, String>("k").await.unwrap(), "v");

    // Answers of one's own, by the arguments.
    deployment.on("HGET", |words| Some(Answer::Value(Value::BulkString(words[2].clone().into_bytes()))));
    assert_eq!(master.hget::<_, _, String>("user", "name").await.unwrap(), "name");
    deployment.on("HGET", |_| Some(Answer::Error("WRONGTYPE not a hash".to_owned())));
    assert_eq!(master.hget::<_, _, String>("user", "name").await.unwrap_err().code(), Some("WRONGTYPE"));

    // Executed, and never answered: the application cannot know.
    deployment.on("INCRBY", |_| Some(Answer::CloseAfter));
    let error = master.incr::<_, _, u64>("n", 1).await.unwrap_err();
    assert_eq!(Outcome::of(&error), Outcome::Unknown);
    assert_eq!(deployment.value("n").as_deref(), Some("6"));
    deployment.on("INCRBY", |_| Some(Answer::Hang));
    let error = pool.master().within(Duration::from_millis(100)).incr::<_, _, u64>("n", 1).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    deployment.on("INCRBY", |_| None);

    // A switch: what was checked out is told, all else goes on.
    let mut exclusive = pool.get().await.unwrap();
    let before = deployment.master_port();
    let mut topology = pool.topology();
    let generation = topology.borrow().generation;
    deployment.switch();
    topology.wait_for(|topology| topology.generation > generation).await.unwrap();
    assert_ne!(deployment.master_port(), before);
    let error = exclusive.get::<_, Option<String>>("k").await.unwrap_err();
    assert!(matches!(Error::find(&error), Some(Error::Switched(_))), "{error}");
    assert_eq!(master.incr::<_, _, u64>("n", 1).await.unwrap(), 7);
    let sent = deployment.received();
    assert!(sent.iter().all(|words| words[0] != "ROLE" && words[0] != "CLIENT"), "{sent:?}");
    assert_eq!(sent.last().unwrap(), &["INCRBY", "n", "1"]);
    pool.shutdown(Duration::from_secs(1)).await;
}
