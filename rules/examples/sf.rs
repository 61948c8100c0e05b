use muselet_rules::Strictness;
use muselet_rules::dlp::{Scanner, Secrets, SeedSettings, Settings, merge};
use std::hint::black_box;
use std::time::Instant;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let env = [
        ("CI_DEPLOY_KEY", "zQ7xN2pLw9RtKv4m"),
        ("OTHER", "pX3-vB8_kT5+nR1/wY6=qL0."),
        ("LONG", "T9fK2mQ8xW4nB7vL1cR5jH3gD6sA0pZyEuIoXk"),
    ];
    let t0 = Instant::now();
    let st = if a[1] == "r" { Strictness::Reference } else { Strictness::Hardened };
    let s = Scanner::new(Settings {
        rules: merge(true, &[]),
        strictness: st,
        seed: Some(SeedSettings::default()),
        env_secrets: Secrets::from_env(env, 16),
        ..Settings::default()
    })
    .unwrap();
    println!("new {:?}", t0.elapsed());
    let hot = vec![b'a'; 65536];
    let best = |f: &mut dyn FnMut(), ms: u128| {
        let b = Instant::now();
        let mut m = f64::MAX;
        let mut n = 0;
        while b.elapsed().as_millis() < ms || n < 3 {
            let t = Instant::now();
            f();
            m = m.min(t.elapsed().as_secs_f64());
            n += 1;
        }
        m
    };
    let y = 65536.0
        / best(
            &mut || {
                black_box(memchr::memchr(b'b', black_box(&hot)));
            },
            50,
        )
        / 1e6;
    let sizes: Vec<usize> = if let Ok(v) = std::env::var("SZ") {
        v.split(',').map(|x| x.parse().unwrap()).collect()
    } else {
        vec![200, 4096, 65536, 1 << 20]
    };
    let ms = std::env::var("MS").map_or(200, |v| v.parse().unwrap());
    for f in &a[2..] {
        let text = std::fs::read(f).unwrap();
        print!("{:24}", f.rsplit('/').next().unwrap());
        for &z in &sizes {
            let Some(p) = text.get(..z) else { break };
            let r = s.scan_text(p);
            let t = best(
                &mut || {
                    black_box(s.scan_text(black_box(p)));
                },
                ms,
            );
            print!(
                "  {z}{} {:.2}us {:.0}MB/s 1/{:.0}",
                if r.clean() { "" } else { "!" },
                t * 1e6,
                z as f64 / t / 1e6,
                y / (z as f64 / t / 1e6)
            );
        }
        println!();
    }
}
