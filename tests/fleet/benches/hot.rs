//! What happens most: requests, replies, INFO, hellos, and an engine with 1,000 masters. How long it takes; `counts` says how
//! many instructions.

#![allow(missing_docs, reason = "the macro of criterion makes a public function without")]

#[path = "pieces/mod.rs"]
#[allow(dead_code, reason = "each benchmark uses its part")]
mod pieces;

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pieces::{Field, MASTERS, QUESTION, bulk, hello, info};
use sentinel_core::Input;
use sentinel_resp::{Limits, ReplyDecoder, RequestDecoder};

fn wire(c: &mut Criterion) {
    let mut group = c.benchmark_group("resp");
    group.throughput(Throughput::Elements(1));
    let mut requests = RequestDecoder::new(Limits::default());
    group.bench_function("a request", |b| {
        b.iter(|| {
            requests.feed(black_box(QUESTION));
            requests.next_request().expect("well-formed")
        });
    });
    let mut replies = ReplyDecoder::new(1 << 20);
    let bulk = bulk(&info("role:master\r\n"));
    for (name, bytes) in [("PONG", &b"+PONG\r\n"[..]), ("an INFO", &bulk)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                replies.feed(black_box(bytes));
                replies.next_reply().expect("well-formed")
            });
        });
    }
    group.finish();
}

fn engine(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine");
    let mut field = Field::new(MASTERS, 20);
    group.throughput(Throughput::Elements(MASTERS as u64));
    group.bench_function("a second with 1,000 masters and 2 replicas each", |b| b.iter(|| field.second()));
    let link = field.last.expect("there are links");
    group.throughput(Throughput::Elements(1));
    for (name, sentinel) in [("its own hello", 'b'), ("a hello", 'c')] {
        let payload = hello(sentinel, 7);
        group.bench_function(name, |b| {
            b.iter(|| {
                field.take(Input::Hello { link, payload: black_box(payload.clone()) });
                field.answer()
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = hot;
    config = Criterion::default().measurement_time(Duration::from_secs(5)).sample_size(20);
    targets = wire, engine
}
criterion_main!(hot);
