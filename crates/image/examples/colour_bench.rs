//! scratch
use fruitvec_core::contract::limits::Limits;
use fruitvec_core::contract::model_card::{Filter, ResizeMode};
fn cpu() -> f64 { // process CPU time from /proc/self/schedstat, ns
    let s = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    s.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e3
}
fn main() {
    let side: u32 = std::env::args().nth(1).unwrap().parse().unwrap();
    let rounds: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let cold = std::env::args().nth(3).unwrap() == "cold";
    let files: Vec<String> = std::env::args().skip(4).collect();
    let mut bytes: Vec<Vec<u8>> = files.iter().map(|f| std::fs::read(f).unwrap()).collect();
    let mut times = vec![vec![]; files.len()];
    for r in 0..rounds + 2 {
        for i in 0..files.len() {
            if cold { if let Some(at) = bytes[i].windows(4).position(|w| w == b"acsp") { bytes[i][at + 8] = r as u8; bytes[i][at+9] = (r>>8) as u8; } }
            let t = std::time::Instant::now(); let c = cpu();
            let p = fruitvec_image::probe(&bytes[i], &Limits::default()).unwrap();
            p.input_image(side, ResizeMode::Stretch, Filter::Bicubic).unwrap();
            let _ = c; let _ = t;
            if r >= 2 { times[i].push(cpu() - c); }
        }
    }
    let mut base = (0.0, 0.0);
    for (i, t) in times.iter_mut().enumerate() {
        t.sort_by(f64::total_cmp);
        let (min, med) = (t[0], t[t.len() / 2]);
        if i == 0 { base = (min, med) }
        println!("{:40} min {:.0} median {:.0}  over first: {:+.2}% {:+.2}%", files[i], min, med, (min / base.0 - 1.0) * 100.0, (med / base.1 - 1.0) * 100.0);
    }
}
