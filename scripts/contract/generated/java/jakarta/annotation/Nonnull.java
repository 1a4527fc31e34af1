package jakarta.annotation;

/** Stands for the annotation of this name, which generated code carries and nothing reads. */
public @interface Nonnull {
  String[] value() default {};

  String date() default "";

  String comments() default "";
}
