#define PELLUCID_SPACE avx512
#define PELLUCID_LANES 16
#include "stages_body.h"
