//! Roots, powers, logarithms and angles.
//! Not here: whole numbers (`whole`), rounding (`rounding`).
//! Called by `numbers`.

use datafusion::common::{Result, exec_err};

use crate::sql::functions::toolkit::typed::kernel;
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::{Function, engine, typed};

macro_rules! of_double {
    ($names:expr, $about:expr, |$number:ident| $body:expr) => {
        typed($names, $about, [kernel!(|$number: Double| -> Double => $body)])
    };
}

pub(super) fn functions() -> Vec<Function> {
    vec![
        of_double!(&["sqrt"], "the square root", |x| root(x)),
        of_double!(&["cbrt"], "the cube root", |x| x.cbrt()),
        of_double!(&["exp"], "e to the power of the number", |x| x.exp()),
        of_double!(&["ln"], "the natural logarithm", |x| logarithm(x, f64::ln)),
        of_double!(&["log2"], "the logarithm to base 2", |x| logarithm(x, f64::log2)),
        of_double!(&["log10"], "the logarithm to base 10", |x| logarithm(x, f64::log10)),
        typed(
            &["log"],
            "the logarithm to base 10, or to the base given first",
            [
                kernel!(|x: Double| -> Double => logarithm(x, f64::log10)),
                kernel!(|base: Double, x: Double| -> Double => logarithm_to(base, x)),
            ],
        ),
        typed(
            &["pow", "power"],
            "the first number to the power of the second",
            [kernel!(|x: Double, y: Double| -> Double => x.powf(y))],
        ),
        of_double!(&["sin"], "the sine", |x| finite(x).map(f64::sin)),
        of_double!(&["cos"], "the cosine", |x| finite(x).map(f64::cos)),
        of_double!(&["tan"], "the tangent", |x| finite(x).map(f64::tan)),
        of_double!(&["cot"], "the cotangent", |x| cotangent(x)),
        of_double!(&["asin"], "the angle of a sine", |x| within_one(x).map(f64::asin)),
        of_double!(&["acos"], "the angle of a cosine", |x| within_one(x).map(f64::acos)),
        of_double!(&["atan"], "the angle of a tangent", |x| x.atan()),
        typed(
            &["atan2"],
            "the angle of a point, by y and x",
            [kernel!(|y: Double, x: Double| -> Double => y.atan2(x))],
        ),
        of_double!(&["sinh"], "the hyperbolic sine", |x| x.sinh()),
        of_double!(&["cosh"], "the hyperbolic cosine", |x| x.cosh()),
        of_double!(&["tanh"], "the hyperbolic tangent", |x| x.tanh()),
        of_double!(&["asinh"], "the inverse of sinh", |x| x.asinh()),
        of_double!(&["acosh"], "the inverse of cosh", |x| x.acosh()),
        of_double!(&["atanh"], "the inverse of tanh", |x| inverse_tanh(x)),
        of_double!(&["degrees"], "an angle in degrees", |x| x * (180.0 / std::f64::consts::PI)),
        of_double!(&["radians"], "an angle in radians", |x| x * (std::f64::consts::PI / 180.0)),
        of_double!(&["gamma"], "the gamma function", |x| gamma(x)),
        of_double!(&["lgamma"], "the logarithm of the gamma function", |x| log_gamma(x)),
        of_double!(&["even"], "the next even number away from zero", |x| even(x)),
        typed(
            &["pi"],
            "the ratio of a circle's circumference to its diameter",
            [kernel!(|| -> Double => std::f64::consts::PI)],
        ),
        typed(
            &["signbit"],
            "whether the number has a minus",
            [
                kernel!(|x: Single| -> Truth => x.is_sign_negative()),
                kernel!(|x: Double| -> Truth => x.is_sign_negative()),
            ],
        ),
        typed(
            &["isnan"],
            "whether the value is no number",
            [kernel!(|x: Single| -> Truth => x.is_nan()), kernel!(|x: Double| -> Truth => x.is_nan())],
        ),
        typed(
            &["isinf"],
            "whether the value is without end",
            [
                kernel!(|x: Single| -> Truth => x.is_infinite()),
                kernel!(|x: Double| -> Truth => x.is_infinite()),
                kernel!(|x: Date| -> Truth => x == i32::MAX || x == -i32::MAX),
                kernel!(|x: Moment| -> Truth => x == i64::MAX || x == -i64::MAX),
                kernel!(|x: ZonedMoment| -> Truth => x == i64::MAX || x == -i64::MAX),
            ],
        ),
        typed(
            &["isfinite"],
            "whether the value is neither without end nor no number",
            [
                kernel!(|x: Single| -> Truth => x.is_finite()),
                kernel!(|x: Double| -> Truth => x.is_finite()),
                kernel!(|x: Date| -> Truth => x != i32::MAX && x != -i32::MAX),
                kernel!(|x: Moment| -> Truth => x != i64::MAX && x != -i64::MAX),
                kernel!(|x: ZonedMoment| -> Truth => x != i64::MAX && x != -i64::MAX),
            ],
        ),
        typed(
            &["nextafter"],
            "the next number that can be held, towards another",
            [
                kernel!(|x: Single, to: Single| -> Single => if x < to { x.next_up() } else if x > to { x.next_down() } else { to }),
                kernel!(|x: Double, to: Double| -> Double => if x < to { x.next_up() } else if x > to { x.next_down() } else { to }),
            ],
        ),
        typed(
            &["fmod"],
            "the rest of a division, as DOUBLE",
            [kernel!(|x: Double, y: Double| -> Double => x - y * (x / y).floor())],
        ),
        typed(
            &["fdiv"],
            "a division rounded down, as DOUBLE",
            [kernel!(|x: Double, y: Double| -> Double => (x / y).floor())],
        ),
        engine(&["random"], "a number from 0 to 1, another for every row"),
    ]
}

fn finite(x: f64) -> Result<f64> {
    if x.is_infinite() { exec_err!("a number without end is out of range here") } else { Ok(x) }
}

fn within_one(x: f64) -> Result<f64> {
    if x.abs() > 1.0 { exec_err!("the function is undefined outside [-1, 1]") } else { Ok(x) }
}

fn root(x: f64) -> Result<f64> {
    if x < 0.0 { exec_err!("cannot take the square root of a negative number") } else { Ok(x.sqrt()) }
}

fn logarithm(x: f64, of: fn(f64) -> f64) -> Result<f64> {
    if x < 0.0 {
        return exec_err!("cannot take the logarithm of a negative number");
    }
    if x == 0.0 {
        return exec_err!("cannot take the logarithm of zero");
    }
    Ok(of(x))
}

fn logarithm_to(base: f64, x: f64) -> Result<f64> {
    let divisor = logarithm(base, f64::log10)?;
    if divisor == 0.0 {
        return exec_err!("the base of a logarithm is not 1");
    }
    Ok(logarithm(x, f64::log10)? / divisor)
}

fn cotangent(x: f64) -> Result<f64> {
    if x == 0.0 {
        return exec_err!("the cotangent of zero is out of range");
    }
    Ok(1.0 / finite(x)?.tan())
}

fn inverse_tanh(x: f64) -> Result<f64> {
    if x.abs() > 1.0 {
        return exec_err!("ATANH is undefined outside [-1, 1]");
    }
    Ok(if x.abs() == 1.0 { f64::INFINITY.copysign(x) } else { x.atanh() })
}

fn even(x: f64) -> f64 {
    let away = if x >= 0.0 { x.ceil() } else { x.floor() };
    if away % 2.0 == 0.0 { away } else { away + 1f64.copysign(away) }
}

/// Lanczos' coefficients for g = 7. <https://en.wikipedia.org/wiki/Lanczos_approximation>
const LANCZOS: [f64; 9] = [
    0.999_999_999_999_809_9,
    676.520_368_121_885_1,
    -1_259.139_216_722_402_8,
    771.323_428_777_653_1,
    -176.615_029_162_140_6,
    12.507_343_278_686_905,
    -0.138_571_095_265_720_12,
    9.984_369_578_019_572e-6,
    1.505_632_735_149_311_6e-7,
];

fn gamma(x: f64) -> Result<f64> {
    if x == 0.0 {
        return exec_err!("cannot take gamma of zero");
    }
    // Whole numbers have an exact answer as long as a DOUBLE can hold it.
    if x.fract() == 0.0 && (1.0..=23.0).contains(&x) {
        return Ok((1..x as u64).map(|factor| factor as f64).product());
    }
    if x < 0.5 {
        return Ok(std::f64::consts::PI / ((std::f64::consts::PI * x).sin() * gamma(1.0 - x)?));
    }
    let (sum, t) = lanczos(x - 1.0);
    Ok((2.0 * std::f64::consts::PI).sqrt() * t.powf(x - 0.5) * (-t).exp() * sum)
}

fn log_gamma(x: f64) -> Result<f64> {
    if x == 0.0 {
        return exec_err!("cannot take log gamma of zero");
    }
    if x < 0.5 {
        return Ok((std::f64::consts::PI / (std::f64::consts::PI * x).sin().abs()).ln() - log_gamma(1.0 - x)?);
    }
    let (sum, t) = lanczos(x - 1.0);
    Ok(0.5 * (2.0 * std::f64::consts::PI).ln() + (x - 0.5) * t.ln() - t + sum.ln())
}

fn lanczos(x: f64) -> (f64, f64) {
    let terms = LANCZOS.iter().enumerate().skip(1).map(|(index, term)| term / (x + index as f64));
    (LANCZOS[0] + terms.sum::<f64>(), x + 7.5)
}
