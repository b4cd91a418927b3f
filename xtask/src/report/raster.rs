//! Pictures of pixels within drawings, as PNG in the text of the page.

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// An image element of `width` x `height` pixels at `at`, `size` drawn units wide and high; `values` are grey levels, or
/// red, green and blue of one pixel after the other.
pub(super) fn image(
    [width, height]: [usize; 2],
    values: &[u8],
    at: (i32, i32),
    size: (i32, i32),
) -> Result<String> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, u32::try_from(width)?, u32::try_from(height)?);
    let colour = if values.len() == width * height { png::ColorType::Grayscale } else { png::ColorType::Rgb };
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(values)?;
    writer.finish()?;
    let ((x, y), (across, down)) = (at, size);
    Ok(format!(
        "<image x=\"{x}\" y=\"{y}\" width=\"{across}\" height=\"{down}\" preserveAspectRatio=\"none\" \
         style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{}\"/>\n",
        STANDARD.encode(file)
    ))
}
