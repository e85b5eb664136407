#include "eval/report.h"
bool report_check(const PolicyConfig *policy, CameraModel *camera, Error *err) { (void)policy;(void)camera;(void)err; return true; }
bool report_write(const char *path, const EvalResult *r, const ReportOptions *o, Error *err) { (void)path;(void)r;(void)o;(void)err; return true; }
