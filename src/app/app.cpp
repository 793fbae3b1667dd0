#include "plsc/app/app.h"

namespace plsc::app {

int run(int, char**) { return 0; }

}  // namespace plsc::app
