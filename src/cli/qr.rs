//! A QR code in a terminal, for the camera of a phone.

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

/// The code as lines of half blocks, for a terminal with light text on a dark ground. `None` if the text is too long.
pub(super) fn qr(text: &str) -> Option<String> {
    let code = QrCode::new(text).ok()?;
    // What is dark on paper is the terminal's ground here.
    Some(code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a camera reads off the terminal. Each character is one module wide and two high.
    fn read(shown: &str) -> String {
        const MODULE: usize = 4;
        let rows: Vec<Vec<char>> = shown.lines().map(|line| line.chars().collect()).collect();
        let is_lit = |x: usize, y: usize| match rows[y / 2][x] {
            '█' => true,
            '▀' => y.is_multiple_of(2),
            '▄' => !y.is_multiple_of(2),
            _ => false,
        };
        let (width, height) = (rows[0].len() * MODULE, rows.len() * 2 * MODULE);
        let grey = |x: usize, y: usize| if is_lit(x / MODULE, y / MODULE) { 255 } else { 0 };
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, grey);
        image.detect_grids()[0].decode().unwrap().1
    }

    #[test]
    fn a_camera_reads_the_link_off_the_terminal() {
        let link = "https://node.a.example/client/#enrol=7k3m9-q2w8e-r4t6y-z1x5c-v0b2n-m";
        assert_eq!(read(&qr(link).unwrap()), link);
    }

    #[test]
    fn what_is_too_long_has_no_code() {
        assert_eq!(qr(&"x".repeat(3_000)), None);
    }
}
