#define PELLUCID_SPACE avx2
#define PELLUCID_LANES 8
#include "stages_body.h"
