//! What the tests compare with: the formulas, number by number.

pub(super) fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    for (x, out) in x.chunks_exact(weight.len()).zip(out.chunks_exact_mut(weight.len())) {
        let mean = x.iter().map(|x| x * x).sum::<f32>() / x.len() as f32;
        let factor = 1.0 / (mean + epsilon).sqrt();
        out.iter_mut().zip(x.iter().zip(weight)).for_each(|(out, (x, weight))| *out = x * factor * weight);
    }
}

pub(super) fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [f32]) {
    for (x, out) in x.chunks_exact(weight.len()).zip(out.chunks_exact_mut(weight.len())) {
        let mean = x.iter().sum::<f32>() / x.len() as f32;
        let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / x.len() as f32;
        let factor = 1.0 / (variance + epsilon).sqrt();
        for (index, out) in out.iter_mut().enumerate() {
            *out = (x[index] - mean) * factor * weight[index] + bias[index];
        }
    }
}

pub(super) fn rotate(x: &mut [f32], cos: &[f32], sin: &[f32]) {
    let half = cos.len();
    for head in x.chunks_exact_mut(2 * half) {
        let (first, second) = head.split_at_mut(half);
        for index in 0..half {
            let (a, b) = (first[index], second[index]);
            first[index] = a * cos[index] - b * sin[index];
            second[index] = b * cos[index] + a * sin[index];
        }
    }
}

pub(super) fn gated_silu(gate: &mut [f32], up: &[f32]) {
    gate.iter_mut().zip(up).for_each(|(gate, up)| *gate = *gate / (1.0 + (-*gate).exp()) * up);
}

/// x · Φ(x) by Φ's continued fraction far out and its series near zero: Abramowitz and Stegun, "Handbook of Mathematical
/// Functions", 26.2.14 and 26.2.11.
pub(super) fn gelu(x: f64) -> f64 {
    let w = x.abs();
    let density = (-w * w / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let tail = if w > 3.0 {
        density / (1..200).rev().fold(w, |fraction, k| w + f64::from(k) / fraction)
    } else {
        let term = |term: &f64, k: u32| term * w * w / f64::from(2 * k + 1);
        let mut terms = vec![w];
        (1..60).for_each(|k| terms.push(term(&terms[terms.len() - 1], k)));
        0.5 - density * terms.iter().sum::<f64>()
    };
    if x < 0.0 { x * tail } else { x * (1.0 - tail) }
}

pub(super) fn gelu_tanh(x: f64) -> f64 {
    let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
    x / (1.0 + (-2.0 * inner).exp())
}
