#pragma once

#include "host/data/dataset.hpp"

namespace melgrad {

// Standardises each feature over the clips of each group (StandardScaler a group), without their labels;
// clips that name no group count as one group. A group's copies are standardised by its originals. This is
// transductive: a clip's features then depend on the other clips of its speaker, those that are tested among
// them, so results are not those of a system that hears one clip of a stranger.
void normalise_speakers(Dataset& dataset);

// What every output says beside results of such a data set.
inline constexpr const char* speaker_normalisation_note =
    "speaker-normalised (transductive): features are standardised over each speaker's own clips, unlabelled, "
    "those "
    "tested among them; a stranger's single clip is recognised less well";

}  // namespace melgrad
