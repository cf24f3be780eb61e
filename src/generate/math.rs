//! `exp`, `ln` and the normal distribution, from additions, multiplications, divisions and square
//! roots alone. IEEE 754 says what those give to the last bit; what the libraries of platforms
//! give for `exp` and `ln` differs in the last bit, and one bit is another price now and then.

/// ln 2 in two parts: the first has few enough bits for products to be exact.
const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// e to the power of `x`, to about 1e-15 of it; for `x` from -700 to 700, beyond which it stays at
/// the value there.
pub fn exp(x: f64) -> f64 {
    let x = x.clamp(-700.0, 700.0);
    let power = (x * std::f64::consts::LOG2_E + if x < 0.0 { -0.5 } else { 0.5 }) as i64;
    let rest = (x - power as f64 * LN2_HIGH) - power as f64 * LN2_LOW;
    let mut sum = 1.0;
    for term in (1..=14).rev() {
        sum = 1.0 + sum * rest / f64::from(term);
    }
    sum * f64::from_bits(((1_023 + power) as u64) << 52)
}

/// The natural logarithm of a normal number above 0, to about 1e-15.
pub fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut power = ((bits >> 52) & 0x7ff) as i64 - 1_023;
    let mut part = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | (1_023 << 52));
    if part > std::f64::consts::SQRT_2 {
        (part, power) = (part * 0.5, power + 1);
    }
    // ln x = 2 artanh((x - 1) / (x + 1)), and the argument is below 0.172.
    let ratio = (part - 1.0) / (part + 1.0);
    let square = ratio * ratio;
    let mut sum = 0.0;
    for odd in (0..12).rev() {
        sum = sum * square + 1.0 / f64::from(2 * odd + 1);
    }
    2.0 * ratio * sum + power as f64 * LN2_LOW + power as f64 * LN2_HIGH
}

/// The density of the normal distribution.
pub fn normal_density(x: f64) -> f64 {
    0.398_942_280_401_432_7 * exp(-0.5 * x * x)
}

/// The probability of a normal number below `x`, to 1e-7 (Abramowitz and Stegun, 26.2.17).
pub fn normal_below(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let sum = t
        * (0.319_381_530
            + t * (-0.356_563_782
                + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let tail = normal_density(x) * sum;
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// Rounds half up to a whole number.
pub fn round(x: f64) -> i64 {
    let floor = x as i64 - i64::from(x < 0.0 && x != (x as i64) as f64);
    if x - floor as f64 >= 0.5 { floor + 1 } else { floor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_what_they_should_be() {
        for step in -4_000..4_000 {
            let x = f64::from(step) * 0.017;
            let (own, other) = (exp(x), x.exp());
            assert!((own - other).abs() <= other * 4e-15, "exp({x}): {own} {other}");
            let y = x.abs() + 0.000_3;
            assert!((ln(y) - y.ln()).abs() <= 1e-15 + y.ln().abs() * 4e-16, "ln({y})");
        }
        for (x, below) in
            [(0.0, 0.5), (1.0, 0.841_344_746), (-1.96, 0.024_997_895), (3.0, 0.998_65)]
        {
            assert!((normal_below(x) - below).abs() < 2e-6, "{x}");
        }
        assert_eq!([2.5, -2.5, -2.51, 0.49, -3.0].map(round), [3, -2, -3, 0, -3]);
    }
}
