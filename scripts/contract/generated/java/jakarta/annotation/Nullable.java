package jakarta.annotation;

/** Stands for the annotation of this name, which generated code carries and nothing reads. */
public @interface Nullable {
  String[] value() default {};

  String date() default "";

  String comments() default "";
}
