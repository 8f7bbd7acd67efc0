//! How the prompt is made: the fields that clients of other servers already send.

use qvl::{PixelBudget, Processor, PromptOptions};
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::fields::Fields;
use crate::options::ServerLimits;

/// Largest pixel budget that may be asked for.
const MAX_PIXELS: u64 = 1 << 28;

/// Fastest sampling of a video, frames per second.
const MAX_FPS: f64 = 1000.0;

/// Bytes of the variables of a template, as JSON; the published templates have a few flags.
const MAX_VARIABLES_BYTES: usize = 16 << 10;

/// Variables of the template that are the server's.
const OWN_VARIABLES: [&str; 4] = ["messages", "tools", "add_generation_prompt", "documents"];

/// Reads `mm_processor_kwargs` and `chat_template_kwargs`.
///
/// # Errors
/// Names the first field that is wrong.
pub(crate) fn read_prompt_options(
    fields: &mut Fields,
    processor: &Processor,
    limits: &ServerLimits,
) -> Result<PromptOptions, ApiError> {
    let mut options = PromptOptions::default();
    if let Some(kwargs) = fields.object("mm_processor_kwargs")? {
        read_processor_kwargs(kwargs, &mut options, processor, limits)?;
    }
    if let Some(mut kwargs) = fields.object("chat_template_kwargs")? {
        options.enable_thinking = kwargs.flag("enable_thinking")?;
        options.add_vision_id = kwargs.flag("add_vision_id")?.unwrap_or(false);
        for name in OWN_VARIABLES {
            if kwargs.value(name).is_some() {
                return Err(kwargs.error(name, "is not for requests to set"));
            }
        }
        options.template_variables = kwargs.into_rest();
        check_variables(&options.template_variables)?;
    }
    Ok(options)
}

/// Variables are copied and may be printed by the template, so there is a limit to them.
fn check_variables(variables: &Map<String, Value>) -> Result<(), ApiError> {
    let bytes = serde_json::to_vec(variables).map_or(usize::MAX, |text| text.len());
    if bytes > MAX_VARIABLES_BYTES {
        let what = format!("has {bytes} bytes, the limit is {MAX_VARIABLES_BYTES}; shorten it");
        return Err(ApiError::field("chat_template_kwargs", what));
    }
    Ok(())
}

/// The pixel budget is that of each picture; of a video, that of all its frames together.
fn read_processor_kwargs(
    mut kwargs: Fields,
    options: &mut PromptOptions,
    processor: &Processor,
    limits: &ServerLimits,
) -> Result<(), ApiError> {
    let least = kwargs.integer::<u64>("min_pixels", 1..=MAX_PIXELS)?;
    let most = kwargs.integer::<u64>("max_pixels", 1..=MAX_PIXELS)?;
    if let (Some(least), Some(most)) = (least, most)
        && least > most
    {
        return Err(kwargs.error("min_pixels", format!("is {least}, above max_pixels, which is {most}")));
    }
    if least.is_some() || most.is_some() {
        options.image_budget = Some(budget(processor.images().budget(), least, most));
        options.video.budget = Some(budget(processor.videos().budget(), least, most));
    }
    options.video.fps = kwargs.number("fps", 0.001..=MAX_FPS)?;
    options.video.num_frames = kwargs.count("num_frames", 2, limits.frames)?;
    if options.video.fps.is_some() && options.video.num_frames.is_some() {
        return Err(kwargs.error("fps", "excludes num_frames; give one of them"));
    }
    kwargs.finish()
}

/// The model's `own` budget with what was given; a bound that was not given makes way.
fn budget(own: PixelBudget, least: Option<u64>, most: Option<u64>) -> PixelBudget {
    PixelBudget {
        min_pixels: least.unwrap_or_else(|| own.min_pixels.min(most.unwrap_or(u64::MAX))),
        max_pixels: most.unwrap_or_else(|| own.max_pixels.max(least.unwrap_or(0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_that_was_not_given_makes_way() {
        let own = PixelBudget { min_pixels: 100, max_pixels: 1000 };
        assert_eq!(budget(own, None, Some(50)), PixelBudget { min_pixels: 50, max_pixels: 50 });
        assert_eq!(budget(own, Some(2000), None), PixelBudget { min_pixels: 2000, max_pixels: 2000 });
        assert_eq!(budget(own, None, Some(500)), PixelBudget { min_pixels: 100, max_pixels: 500 });
    }
}
