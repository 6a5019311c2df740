//! How long an application cannot write that knows the proxy alone.

use std::time::{Duration, Instant};

use sentinel_tests::{Dataset, Deployment, ProxyProcess, Writer};

use crate::{FORCED, KILLED};

const SOON: Duration = Duration::from_secs(15);
const PACE: Duration = Duration::from_millis(1);

/// What happened, the longest gap that is wanted, and those that were seen, in milliseconds.
pub(crate) fn measure(rounds: u32) -> [(&'static str, f64, Vec<f64>); 2] {
    let deployment = Deployment::of_ours(3)
        .down_after(Duration::from_secs(5))
        .sentinel_line("sentinel down-on-refused mymaster 1")
        .start();
    let group = deployment.only_group();
    let proxy = ProxyProcess::of(&deployment, &[]);
    let mut gaps = [Vec::new(), Vec::new()];
    let mut old = group.master();
    for round in 0..rounds * 2 {
        let dies = round % 2 == 1;
        group.wait_until_linked(old);
        deployment.wait_until_discovered();
        let writer = Writer::through(proxy.port, PACE);
        std::thread::sleep(Duration::from_millis(500));
        if dies {
            old.kill();
        } else {
            deployment.sentinels()[0].failover("mymaster");
        }
        let new = deployment.wait_for_switch("mymaster", old.port());
        writer.wait_for_write(proxy.port, Instant::now(), SOON);
        let report = writer.finish();
        // What a forced failover lost would be lost in spite of the proxy, and still be told.
        let lost = report.missing_from(new).len();
        if lost > 0 && !dies {
            println!("{lost} acknowledged writes are missing");
        }
        gaps[usize::from(dies)].push(report.longest_gap().as_secs_f64() * 1e3);
        if dies {
            old.restart(Dataset::Kept);
        }
        old = new;
    }
    let [forced, killed] = gaps;
    [("SENTINEL FAILOVER", FORCED, forced), ("SIGKILL with down-on-refused 1", KILLED, killed)]
}
