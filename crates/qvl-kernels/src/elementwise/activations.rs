//! Activations, number by number.

use std::marker::PhantomData;

use crate::lanes::{self, Lanes, Task, WIDEST};

/// `gate` ← gate · σ(gate) · `up`.
pub(super) struct GatedSilu<'a> {
    pub(super) gate: &'a mut [f32],
    pub(super) up: &'a [f32],
}

impl Task for GatedSilu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let (mut gates, mut ups) = (self.gate.chunks_exact_mut(V::COUNT), self.up.chunks_exact(V::COUNT));
        for (gate, up) in (&mut gates).zip(&mut ups) {
            lanes::silu(V::load(gate)).mul(V::load(up)).store(gate);
        }
        let mut rest = [0.0; WIDEST];
        let gate = gates.into_remainder();
        rest[..gate.len()].copy_from_slice(gate);
        lanes::silu(V::load(&rest)).store(&mut rest);
        for ((gate, silu), up) in gate.iter_mut().zip(rest).zip(ups.remainder()) {
            *gate = silu * up;
        }
    }
}

/// A function of each number by itself.
pub(super) trait Function {
    /// Its values.
    fn of<V: Lanes>(x: V) -> V;
}

/// The Gaussian error linear unit.
pub(super) enum Gelu {}

impl Function for Gelu {
    #[inline(always)]
    fn of<V: Lanes>(x: V) -> V {
        lanes::gelu(x)
    }
}

/// [`Gelu`] by its approximation with a hyperbolic tangent.
pub(super) enum GeluTanh {}

impl Function for GeluTanh {
    #[inline(always)]
    fn of<V: Lanes>(x: V) -> V {
        lanes::gelu_tanh(x)
    }
}

/// Replaces each number by its value of `F`.
pub(super) struct Map<'a, F> {
    x: &'a mut [f32],
    function: PhantomData<F>,
}

impl<'a, F> Map<'a, F> {
    pub(super) fn new(x: &'a mut [f32]) -> Self {
        Self { x, function: PhantomData }
    }
}

impl<F: Function> Task for Map<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let mut chunks = self.x.chunks_exact_mut(V::COUNT);
        for chunk in &mut chunks {
            F::of(V::load(chunk)).store(chunk);
        }
        let chunk = chunks.into_remainder();
        let mut rest = [0.0; WIDEST];
        rest[..chunk.len()].copy_from_slice(chunk);
        F::of(V::load(&rest)).store(&mut rest);
        chunk.copy_from_slice(&rest[..chunk.len()]);
    }
}
